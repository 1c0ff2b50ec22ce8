// The frame of the page: its views, the sign-in above both, and the language.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import * as files from "../files.js";
import { percent } from "../format.js";
import { language, setLanguage, t } from "../i18n.js";
import { totals } from "../queue.js";
import { signedIn, signOut } from "../token.js";
import { LiveRegion } from "./announce.js";
import { DropTarget } from "./chooser.js";
import { FileList } from "./file-list.js";
import { Send } from "./send.js";
import { SignIn } from "./sign-in.js";

const view = signal(viewOf());

function viewOf(): "send" | "files" {
  return location.hash === "#files" ? "files" : "send";
}

export function App() {
  useEffect(() => {
    const change = () => (view.value = viewOf());
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  useEffect(() => {
    document.title = `${t(view.value === "files" ? "files.title" : "nav.send")} – Portico`;
  }, [view.value, language.value]);
  const sum = totals.value;
  const link = (name: "send" | "files", text: string) => (
    <a href={`#${name}`} aria-current={view.value === name ? "page" : undefined}>
      {text}
    </a>
  );
  return (
    <>
      <header>
        <h1>Portico</h1>
        <nav aria-label={t("nav.label")}>
          {link("send", sum.active > 0 && sum.bytes ? `${t("nav.send")} (${percent(sum.sent / sum.bytes)})` : t("nav.send"))}
          {link("files", t("files.title"))}
        </nav>
        {signedIn.value && (
          <button
            type="button"
            onClick={() => {
              signOut();
              files.clear();
            }}
          >
            {t("nav.sign-out")}
          </button>
        )}
      </header>
      <main>
        <SignIn />
        {view.value === "files" ? <FileList /> : <Send />}
      </main>
      <footer>
        <p>
          <label for="language">{t("nav.language")}</label>
          <select id="language" value={language.value} onChange={({ currentTarget: { value } }) => void setLanguage(value)}>
            {Object.entries(LANGUAGES).map(([tag, { name }]) => (
              <option key={tag} value={tag} lang={tag}>
                {name}
              </option>
            ))}
          </select>
        </p>
        <p>
          <a href="page/licences.html">{t("nav.licences")}</a>
        </p>
      </footer>
      <LiveRegion />
      <DropTarget />
    </>
  );
}
