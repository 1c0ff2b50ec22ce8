// nginx with its default settings, between the network and the server.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class Nginx {
  private constructor(
    readonly port: number,
    readonly child: ChildProcess,
    readonly folder: string,
  ) {}

  /** Starts nginx before a port. `settings` go into its `server` block. */
  static async start(target: number, settings: string): Promise<Nginx> {
    const folder = mkdtempSync(join(tmpdir(), "portico-nginx-"));
    mkdirSync(join(folder, "temp"));
    const port = await freePort();
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${folder}/temp/${name};`).join("\n");
    // The workers of a root's nginx are somebody else, who may not write into this folder.
    const user = process.getuid?.() === 0 ? "user root;" : "";
    writeFileSync(
      join(folder, "nginx.conf"),
      `${user} daemon off; worker_processes 1; pid ${folder}/pid; error_log ${folder}/error.log;
       events {}
       http { access_log off; ${paths}
         server { listen 127.0.0.1:${port}; ${settings}
           location / { proxy_pass http://127.0.0.1:${target}; proxy_set_header Host $http_host; } } }`,
    );
    const child = spawn("nginx", ["-e", `${folder}/error.log`, "-p", folder, "-c", "nginx.conf"], { stdio: "inherit" });
    for (let tries = 0; !(await listens(port)); tries++) {
      if (tries > 200 || child.exitCode !== null) throw new Error("nginx did not start");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return new Nginx(port, child, folder);
  }

  async end(): Promise<void> {
    this.child.kill("SIGTERM");
    await once(this.child, "exit");
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}
