// Starts the page.
import { render } from "preact";
import { request } from "./api.js";
import { chooseLanguage } from "./i18n.js";
import { watch } from "./queue.js";
import { announceUploads } from "./ui/announce.js";
import { App } from "./ui/app.js";

await chooseLanguage();
const place = document.getElementById("app");
if (place) render(<App />, place);
announceUploads();
watch();
// Asks whether the server wants a token. Any other failure shows when the person does something.
request("GET", "files?limit=1").catch(() => {});
