// The view of uploads: the chooser, what an earlier visit left unfinished, and the queue.
import { signal } from "@preact/signals";
import { request } from "../api.js";
import { duration, percent, rate, size } from "../format.js";
import { t } from "../i18n.js";
import * as queue from "../queue.js";
import * as records from "../records.js";
import { refused } from "../storage.js";
import { verify } from "../verify.js";
import { Chooser } from "./chooser.js";
import { Name } from "./name.js";
import { Row, Rows } from "./rows.js";
import { UploadRow } from "./upload-row.js";

/** What earlier visits have begun, as it was when the page was opened. */
const begun = signal<[string, records.Record][]>([]);

void records.unfinished().then((found) => (begun.value = found));

export function Send() {
  const all = queue.uploads.value;
  return (
    <>
      <Chooser />
      {refused.value && <p class="warn card">{t("send.no-storage")}</p>}
      <Unfinished />
      {all.length > 0 && (
        <section aria-labelledby="queue-title">
          <h2 id="queue-title" tabIndex={-1}>
            {t("queue.title")}
          </h2>
          <Summary />
          <Rows label={t("queue.title")} items={all} keyOf={(upload) => upload.id} row={(upload) => <UploadRow upload={upload} />} />
        </section>
      )}
    </>
  );
}

function Summary() {
  const sum = queue.totals.value;
  const left = sum.active > 0 && sum.rate > 0 ? t("state.left", { time: duration((sum.bytes - sum.sent) / sum.rate) }) : "";
  const parts = [
    t("queue.done", { done: sum.done, count: sum.files }),
    `${percent(sum.bytes ? sum.sent / sum.bytes : 1)} · ${size(sum.bytes)}`,
    sum.rate > 0 ? rate(sum.rate) : "",
    left,
    sum.failed > 0 ? t("queue.failed", { count: sum.failed }) : "",
  ];
  const comparable = queue.uploads.value.some((upload) => upload.sha256 !== null && upload.check.value.is === "none");
  return (
    <div class="summary">
      <p>{parts.filter(Boolean).join(" · ")}</p>
      <progress max={Math.max(1, sum.bytes)} value={sum.bytes ? sum.sent : 1} aria-label={t("queue.progress")} />
      <p class="buttons">
        {sum.active > 0 && (
          <button type="button" onClick={queue.pauseAll}>
            {t("queue.pause")}
          </button>
        )}
        {sum.paused + sum.failed > 0 && (
          <button type="button" onClick={queue.resumeAll}>
            {t("queue.resume")}
          </button>
        )}
        {comparable && (
          <button type="button" onClick={() => queue.uploads.value.forEach((upload) => upload.check.value.is === "none" && verify(upload))}>
            {t("queue.verify")}
          </button>
        )}
        {sum.done > 0 && (
          <button type="button" onClick={queue.clearDone}>
            {t("queue.clear")}
          </button>
        )}
      </p>
    </div>
  );
}

/**
 * Lets the server remove the parts of an upload. It also removes them by itself when the upload expires, so a failure does not
 * matter. An upload that is complete after all is a file, and files are deleted by nothing but the question in their list.
 */
async function withdraw(url: string): Promise<void> {
  try {
    const response = await request("HEAD", url);
    if (!response.headers.has("content-location")) await request("DELETE", url);
  } catch {
    // See above.
  }
}

/** Uploads that the person can continue by choosing the same file again. */
function Unfinished() {
  // An upload of the queue has a row of its own.
  const chosen = new Set(queue.uploads.value.map((upload) => `${upload.path}/${upload.name}/${upload.size}`));
  const left = begun.value.filter(([, record]) => !chosen.has(`${record.path}/${record.name}/${record.size}`));
  if (left.length === 0) return null;
  const drop = ([print, record]: (typeof left)[number]) => {
    records.forget(print);
    begun.value = begun.value.filter(([other]) => other !== print);
    document.getElementById("chooser-title")?.focus();
    if (record.url) void withdraw(record.url);
  };
  return (
    <section aria-labelledby="unfinished-title">
      <h2 id="unfinished-title">{t("unfinished.title")}</h2>
      <p>{t("unfinished.text")}</p>
      <Rows
        label={t("unfinished.title")}
        items={left}
        keyOf={([print]) => print}
        row={(one) => (
          <Row name="unfinished">
            <div class="about">
              <Name name={one[1].name} path={one[1].path} />
              <p class="status">{size(one[1].size)}</p>
            </div>
            <div class="actions">
              <button type="button" aria-label={`${t("unfinished.forget")}: ${one[1].name}`} onClick={() => drop(one)}>
                {t("unfinished.forget")}
              </button>
            </div>
          </Row>
        )}
      />
    </section>
  );
}
