// The page around `send`: a form, a bar, a sentence.
import { send } from "./send.js";

const [form, bar, status] = ["form", "progress", "[role=status]"].map((name) => document.querySelector(name));
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const [portal, token, { files }] = ["portal", "token", "file"].map((id) => document.getElementById(id));
  const file = files[0];
  try {
    status.textContent = "Sending";
    const url = await send(portal.value.replace(/\/$/, ""), token.value, file, (sent) => (bar.value = file.size ? sent / file.size : 1));
    status.textContent = `Sent: ${url}`;
  } catch (error) {
    status.textContent = `Failed: ${error.message}`;
  }
});
