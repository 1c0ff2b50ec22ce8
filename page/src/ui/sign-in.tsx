// The sign-in: the server wants a token, or no longer takes the one that it had.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Failure, request } from "../api.js";
import { t } from "../i18n.js";
import { accept, wanted } from "../token.js";
import { announce } from "./announce.js";

const problem = signal("");
const running = signal(false);

export function SignIn() {
  const field = useRef<HTMLInputElement>(null);
  const why = wanted.value;
  useEffect(() => {
    problem.value = "";
    if (why) field.current?.focus();
  }, [why]);
  if (why === null) return null;

  const submit = async (event: Event) => {
    event.preventDefault();
    const shown = field.current?.value.trim() ?? "";
    if (!shown || running.value) return;
    running.value = true;
    problem.value = "";
    try {
      await request("GET", "files?limit=1", { shown });
      accept(shown);
      announce(t("signin.done"));
    } catch (error) {
      const cause = error instanceof Failure ? error : new Failure(0);
      problem.value = cause.status === 401 ? t("signin.wrong") : cause.explain();
      field.current?.focus();
    }
    running.value = false;
  };

  // The field has no name, and the form posts: the token enters no URL even if this script has failed.
  return (
    <section class="card signin" aria-labelledby="signin-title">
      <h2 id="signin-title">{t("signin.title")}</h2>
      <p>{why === "refused" ? t("signin.refused") : t("signin.missing")}</p>
      <form method="post" onSubmit={submit}>
        <label for="token">{t("signin.label")}</label>
        <input id="token" ref={field} type="password" autocomplete="off" spellcheck={false} aria-describedby="token-problem token-hint" aria-invalid={problem.value !== ""} required />
        <button class="primary" aria-disabled={running.value}>
          {t("signin.submit")}
        </button>
      </form>
      <p id="token-problem" class="bad" role="alert">
        {problem.value}
      </p>
      <p id="token-hint" class="quiet">
        {t("signin.hint")}
      </p>
    </section>
  );
}
