// Uppy's dashboard, with Portico as the server of its tus plugin.
import Uppy from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import Tus from "@uppy/tus";
import "@uppy/core/css/style.min.css";
import "@uppy/dashboard/css/style.min.css";

const portal = document.getElementById("portal");
const token = document.getElementById("token");

const uppy = new Uppy({ id: "portico" });
uppy.use(Dashboard, { inline: true, target: "#uppy" });
uppy.use(Tus, {
  endpoint: `${portal.value.replace(/\/$/, "")}/tus`,
  chunkSize: 64 << 20, // A proxy may limit the size of a request, or buffer it.
  headers: () => (token.value ? { Authorization: `Bearer ${token.value}` } : {}),
});
portal.addEventListener("change", () => uppy.getPlugin("Tus").setOptions({ endpoint: `${portal.value.replace(/\/$/, "")}/tus` }));
