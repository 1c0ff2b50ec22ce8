// The view of files: a search, an order, and for each file its download, its digest and its end.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Failure, pathOf } from "../api.js";
import { browseZip, download, downloadZip, running, sum, ZIP, ZIP_MAX } from "../download.js";
import * as files from "../files.js";
import type { Order, StoredFile } from "../files.js";
import { date, percent, size } from "../format.js";
import { t } from "../i18n.js";
import { arrived, totals } from "../queue.js";
import { token, wanted } from "../token.js";
import { announce } from "./announce.js";
import { Name } from "./name.js";
import { Row, Rows } from "./rows.js";

const ORDERS: Order[] = ["newest", "oldest", "name", "folder", "largest"];

/** The file that the person is asked about. */
const asked = signal<StoredFile | null>(null);

/** What went wrong with a download. */
const trouble = signal("");

/** Milliseconds that the search waits for the next key. */
const TYPING = 150;

export function FileList() {
  // Read anew when the view opens, after a sign-in, and when the queue has brought files and rests.
  const resting = totals.value.active === 0;
  const open = wanted.value === null;
  useEffect(() => {
    if (open && resting) void files.reload();
  }, [open, resting, arrived.value]);
  const found = files.found.value;
  return (
    <section aria-labelledby="files-title">
      <h2 id="files-title" tabIndex={-1}>
        {t("files.title")}
      </h2>
      <Tools />
      {files.problem.value && (
        <p class="bad card" role="alert">
          {t("files.problem", { reason: files.problem.value })}{" "}
          <button type="button" onClick={files.reload}>
            {t("row.retry")}
          </button>
        </p>
      )}
      {trouble.value && (
        <p class="bad card" role="alert">
          {trouble.value}
        </p>
      )}
      <p class="quiet" role="status">
        {files.loading.value ? t("files.loading") : files.loaded.value ? count() : ""}
      </p>
      {found.length > 0 && <Selection found={found} />}
      <Rows label={t("files.title")} items={found} keyOf={(file) => file.file_id} row={(file) => <FileRow file={file} />} />
      {files.rest.value !== null && !files.loading.value && (
        <p class="buttons">
          <button type="button" onClick={files.more}>
            {t("files.more")}
          </button>
        </p>
      )}
      <Question />
    </section>
  );
}

function count(): string {
  const [found, known] = [files.found.value.length, files.known.value];
  if (known === 0) return t("files.none");
  const part = files.rest.value !== null ? ` ${t("files.part")}` : "";
  return (files.search.value ? t("files.found", { count: found }) : t("files.count", { count: known })) + part;
}

function Tools() {
  const timer = useRef(0);
  const type = ({ currentTarget: { value } }: { currentTarget: HTMLInputElement }) => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => (files.search.value = value), TYPING);
  };
  return (
    <form class="tools" role="search" onSubmit={(event) => event.preventDefault()}>
      <p>
        <label for="search">{t("files.search")}</label>
        <input id="search" type="search" autocomplete="off" defaultValue={files.search.value} onInput={type} />
      </p>
      <p>
        <label for="order">{t("files.order")}</label>
        <select id="order" value={files.order.value} onChange={({ currentTarget: { value } }) => (files.order.value = value as Order)}>
          {ORDERS.map((order) => (
            <option key={order} value={order}>
              {t(`order.${order}`)}
            </option>
          ))}
        </select>
      </p>
      <button type="button" onClick={files.reload}>
        {t("files.reload")}
      </button>
    </form>
  );
}

/** What can be done with the selected files. */
function Selection({ found }: { found: readonly StoredFile[] }) {
  const chosen = files.selected.value;
  const part = running.value.get(ZIP);
  const fits = chosen.length <= ZIP_MAX;
  const start = async () => {
    if (!fits || part !== undefined) return;
    trouble.value = "";
    if (token.value === null) browseZip(chosen);
    else trouble.value = await downloadZip(chosen);
  };
  return (
    <div class="selection">
      <p class="buttons">
        <button type="button" onClick={() => files.select(found, true)}>
          {t("files.select-all")}
        </button>
        {chosen.length > 0 && (
          <>
            <button type="button" aria-disabled={!fits || part !== undefined} onClick={start}>
              {t("zip.download")}
            </button>
            <button
              type="button"
              onClick={() => {
                files.select(chosen, false);
                document.getElementById("files-title")?.focus();
              }}
            >
              {t("files.select-none")}
            </button>
          </>
        )}
      </p>
      <p class="quiet" role="status">
        {chosen.length > 0 && [
          t("files.selected", { count: chosen.length }),
          size(sum(chosen)),
          ...(part === undefined ? [] : [t("download.running", { part: percent(part) })]),
          ...(fits ? [] : [t("zip.too-many", { limit: ZIP_MAX })]),
        ].join(" · ")}
      </p>
    </div>
  );
}

function FileRow({ file }: { file: StoredFile }) {
  const name = file.original_filename;
  const part = running.value.get(file.file_id);
  const start = async () => {
    trouble.value = "";
    trouble.value = await download(file);
  };
  return (
    <Row name="file">
      <input
        type="checkbox"
        aria-label={`${t("files.select")}: ${name}`}
        checked={files.isSelected(file)}
        onChange={({ currentTarget: { checked } }) => files.select([file], checked)}
      />
      <div class="about">
        <Name name={name} {...(file.relative_path ? { path: file.relative_path } : {})} />
        <p class="status">
          {size(file.size_bytes)} · <time dateTime={file.created_at}>{date(file.created_at)}</time>
          {part !== undefined && ` · ${t("download.running", { part: percent(part) })}`}
        </p>
        <details>
          <summary aria-label={`${t("files.details")}: ${name}`}>{t("files.details")}</summary>
          <dl>
            <dt>SHA-256</dt>
            <dd>
              <code>{file.sha256}</code>
            </dd>
            <dt>{t("files.type")}</dt>
            <dd>{file.content_type}</dd>
            <dt>{t("files.id")}</dt>
            <dd>
              <code>{file.file_id}</code>
            </dd>
          </dl>
        </details>
      </div>
      <div class="actions">
        {token.value === null ? (
          <a class="button" href={pathOf(file.file_id)} download aria-label={`${t("files.download")}: ${name}`}>
            {t("files.download")}
          </a>
        ) : (
          <button type="button" aria-label={`${t("files.download")}: ${name}`} aria-disabled={part !== undefined} onClick={start}>
            {t("files.download")}
          </button>
        )}
        <button type="button" class="danger" aria-label={`${t("files.delete")}: ${name}`} onClick={() => (asked.value = file)}>
          {t("files.delete")}
        </button>
      </div>
    </Row>
  );
}

/** Asks before a file is deleted. */
function Question() {
  const dialog = useRef<HTMLDialogElement>(null);
  const problem = useRef(signal("")).current;
  const busy = useRef(signal(false)).current;
  const file = asked.value;
  useEffect(() => {
    problem.value = "";
    if (file) dialog.current?.showModal();
    else dialog.current?.close();
  }, [file]);
  const remove = async () => {
    if (!file || busy.value) return;
    busy.value = true;
    try {
      await files.remove(file);
      // Closing gives the focus back to the button of a row that is about to go.
      dialog.current?.close();
      announce(t("said.deleted", { name: file.original_filename }));
      document.getElementById("files-title")?.focus();
    } catch (error) {
      const cause = error instanceof Failure ? error : new Failure(0);
      if (cause.status === 401) asked.value = null;
      else problem.value = cause.explain();
    }
    busy.value = false;
  };
  return (
    <dialog ref={dialog} aria-labelledby="question" onClose={() => (asked.value = null)}>
      {file && (
        <>
          <h2 id="question">{t("delete.title")}</h2>
          <p>
            <Name name={file.original_filename} />
          </p>
          <p class="quiet">
            {size(file.size_bytes)} · {date(file.created_at)}
          </p>
          <p>{t("delete.text")}</p>
          <p class="bad" role="alert">
            {problem.value}
          </p>
          <p class="buttons">
            <button type="button" autofocus onClick={() => dialog.current?.close()}>
              {t("delete.keep")}
            </button>
            <button type="button" class="danger" aria-disabled={busy.value} onClick={remove}>
              {t("delete.delete")}
            </button>
          </p>
        </>
      )}
    </dialog>
  );
}
