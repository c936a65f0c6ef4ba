// The program as a child: the demo, or a daemon of our own, on free ports, waited for and stopped.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PATIENCE_MS = 90_000;
const LOOK_EVERY_MS = 250;

/** Looks until there is an answer; fails with what was waited for. */
export async function eventually(what, look) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** Runs the program; gives what it has said so far and how to stop it. */
function run(binary, args) {
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = once(child, "exit");
  const program = {
    said: "",
    stop: async () => {
      child.kill("SIGTERM");
      const [status] = await ended;
      if (status !== 0) throw new Error(`it ended with ${status}:\n${program.said}`);
    },
    /** The first match in what it says. */
    says: (pattern) => eventually(`it says ${pattern}`, () => {
      if (child.exitCode !== null) throw new Error(`it ended:\n${program.said}`);
      return program.said.match(pattern)?.[1];
    }),
  };
  for (const pipe of [child.stdout, child.stderr]) pipe.on("data", (data) => { program.said += data; });
  return program;
}

/** Gives the demo's address once it has failures to show, and how to stop it. */
export async function startDemo(binary) {
  const demo = run(binary, ["demo", "--port", "0"]);
  try {
    const base = await demo.says(/status page {2}(http:\/\/[^/]+)\//);
    // Enough that every kind of step and several platforms are there to be looked at.
    await eventually("the demo shows failures", async () => {
      const { data } = await (await fetch(`${base}/api/v1/watches?failed=true&limit=0`)).json();
      return data.total >= 20;
    });
    return { base, stop: demo.stop };
  } catch (error) {
    await demo.stop().catch(() => {});
    throw error;
  }
}

/** Gives the address of a daemon that watches these users of a task; its upstream and two of its sources are not there. */
export async function startDaemon(binary, task, users) {
  const folder = await mkdtemp(join(tmpdir(), "timpush-browser-"));
  const app = {
    name: "shop", sdk_app_id: 1400000001, endpoint: "http://127.0.0.1:9", secret_key_file: "app.key",
    watch: { static: [{ task, users }], files: ["lists/*.yaml"], http: [{ url: "http://127.0.0.1:9/a-list-with-a-long-address" }] },
  };
  await writeFile(join(folder, "app.key"), "0".repeat(64));
  // JSON is YAML.
  await writeFile(join(folder, "config.yaml"), JSON.stringify({ apps: [app] }));
  const daemon = run(binary, [
    "--config.file", join(folder, "config.yaml"), "--storage.path", join(folder, "data"),
    "--web.listen-address", "127.0.0.1:0",
  ]);
  const stop = async () => {
    await daemon.stop();
    await rm(folder, { recursive: true });
  };
  const base = `http://${await daemon.says(/listening address=(127\.0\.0\.1:\d+)/)}`;
  await eventually("the lists are loaded", async () => (await fetch(`${base}/-/ready`)).ok);
  return { base, stop };
}
