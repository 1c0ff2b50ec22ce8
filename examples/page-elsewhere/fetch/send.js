// Sends a file to Portico from a page of any origin: tus 1.0 with fetch alone. Resumes after errors of the network.
const PIECE = 16 << 20;

/** Returns the URL of the upload, which is that of the file once it is complete. `progress` is called with the bytes that the portal has. */
export async function send(portico, token, file, progress = () => {}) {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const ask = async (method, url, fields = {}, body = null) => {
    const headers = { "Tus-Resumable": "1.0.0", ...(token && { Authorization: `Bearer ${token}` }), ...fields };
    const answer = await fetch(url, { method, headers, body }).catch(() => null);
    const passes = !answer || answer.status >= 500 || [409, 423].includes(answer.status);
    if (!passes && !answer.ok) throw new Error(`${method} ${url}: ${answer.status}`);
    return passes ? null : answer;
  };
  const pause = () => new Promise((resolve) => setTimeout(resolve, 1000));
  const metadata = `filename ${base64(file.name)},filetype ${base64(file.type || "application/octet-stream")}`;
  const created = await ask("POST", `${portico}/tus`, { "Upload-Length": file.size, "Upload-Metadata": metadata });
  if (!created) throw new Error("the portal cannot be reached");
  const url = new URL(created.headers.get("Location"), created.url).href;
  for (let offset = 0; offset < file.size; progress(offset)) {
    const fields = { "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" };
    let last = await ask("PATCH", url, fields, file.slice(offset, offset + PIECE));
    while (!last) {
      await pause();
      last = await ask("HEAD", url);
    }
    offset = Number(last.headers.get("Upload-Offset"));
  }
  return url;
}
