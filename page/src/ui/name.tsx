// A file's name. Its direction is its own, and it is text whatever it contains.
import { shown } from "../format.js";

export function Name({ name, path }: { name: string; path?: string }) {
  const folder = path?.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
  return (
    <span class="name">
      {folder && <bdi class="folder">{shown(folder)}</bdi>}
      <bdi>{shown(name)}</bdi>
    </span>
  );
}
