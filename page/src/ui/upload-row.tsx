// One upload: its name, how far it is, what went wrong, and what the person can do.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { duration, percent, rate, size } from "../format.js";
import { t } from "../i18n.js";
import * as queue from "../queue.js";
import type { Upload } from "../upload.js";
import { verify } from "../verify.js";
import { Name } from "./name.js";
import { Row } from "./rows.js";

/** A button whose name includes the file, for people who hear one button at a time. */
function Action({ text, name, onClick }: { text: string; name: string; onClick: () => void }) {
  return (
    <button type="button" aria-label={`${text}: ${name}`} onClick={onClick}>
      {text}
    </button>
  );
}

/** Moves the focus out of a row that is about to go. */
function leave(): void {
  document.getElementById("queue-title")?.focus();
}

export function UploadRow({ upload }: { upload: Upload }) {
  const state = upload.state.value;
  const moving = state === "sending" || state === "finishing";
  const ended = ["done", "known"].includes(state);
  const pausable = ["waiting", "elsewhere", "preparing", "sending", "retrying", "signin"].includes(state);
  return (
    <Row name={state}>
      <div class="about">
        <Name name={upload.name} path={upload.path} />
        <Status upload={upload} />
        {!ended && state !== "failed" && (
          <progress max={Math.max(1, upload.size)} value={moving || upload.sent.value ? upload.sent.value : 0} aria-label={t("row.progress", { name: upload.name })} />
        )}
        {ended && <Digest upload={upload} />}
      </div>
      <div class="actions">
        {state === "finishing" || ended ? null : (
          <Action
            key="turn"
            text={pausable && state !== "retrying" ? t("row.pause") : state === "paused" ? t("row.resume") : t("row.retry")}
            name={upload.name}
            onClick={() => (pausable && state !== "retrying" ? upload.pause() : upload.retry())}
          />
        )}
        {state === "retrying" && <Action text={t("row.pause")} name={upload.name} onClick={() => upload.pause()} />}
        {ended && upload.sha256 && <Action text={t("row.verify")} name={upload.name} onClick={() => verify(upload)} />}
        {state === "known" && <Action text={t("row.again")} name={upload.name} onClick={() => upload.again()} />}
        <Action
          text={ended ? t("row.remove") : t("row.cancel")}
          name={upload.name}
          onClick={() => {
            leave();
            queue.remove(upload);
          }}
        />
      </div>
    </Row>
  );
}

function Status({ upload }: { upload: Upload }) {
  const state = upload.state.value;
  const total = size(upload.size);
  if (state === "failed") return <p class="status bad">{t("state.failed", { reason: upload.error.value })}</p>;
  if (state === "retrying") return <Retrying upload={upload} />;
  if (state === "sending") {
    const speed = upload.rate.value;
    const left = speed > 0 ? t("state.left", { time: duration((upload.size - upload.sent.value) / speed) }) : "";
    const parts = [percent(upload.sent.value / Math.max(1, upload.size)), total, speed > 0 ? rate(speed) : "", left];
    return <p class="status">{parts.filter(Boolean).join(" · ")}</p>;
  }
  return (
    <p class="status">
      {t(`state.${state}`)} · {total}
    </p>
  );
}

function Retrying({ upload }: { upload: Upload }) {
  const left = useSignal(0);
  useEffect(() => {
    const show = () => (left.value = Math.max(0, (upload.retryAt.value - performance.now()) / 1000));
    show();
    const timer = setInterval(show, 500);
    return () => clearInterval(timer);
  }, [upload.retryAt.value]);
  return (
    <p class="status warn">
      {t("state.retrying", { reason: upload.error.value, time: duration(left.value) })}
    </p>
  );
}

function Digest({ upload }: { upload: Upload }) {
  const check = upload.check.value;
  const texts = {
    none: "",
    running: check.is === "running" ? t("verify.running", { part: percent(check.part) }) : "",
    equal: t("verify.equal"),
    different: t("verify.different"),
    unreadable: t("verify.unreadable"),
  };
  return (
    <>
      {upload.sha256 && (
        <p class="digest">
          <abbr title="Secure Hash Algorithm, 256 bits">SHA-256</abbr> <code>{upload.sha256}</code>
        </p>
      )}
      <p class={`status ${check.is === "equal" ? "good" : check.is === "none" || check.is === "running" ? "" : "bad"}`} role="status">
        {texts[check.is]}
      </p>
    </>
  );
}
