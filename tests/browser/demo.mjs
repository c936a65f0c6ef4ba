// The demo as a child: started on free ports, waited for until it shows a failure, stopped.

import { spawn } from "node:child_process";
import { once } from "node:events";

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

/** Gives the demo's address once it has failures to show, and how to stop it. */
export async function startDemo(binary) {
  const child = spawn(binary, ["demo", "--port", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const pipe of [child.stdout, child.stderr]) pipe.on("data", (data) => { said += data; });
  const ended = once(child, "exit");
  const stop = async () => {
    child.kill("SIGTERM");
    const [status] = await ended;
    if (status !== 0) throw new Error(`the demo ended with ${status}:\n${said}`);
  };
  try {
    const base = await eventually("the demo says where it listens", () => {
      if (child.exitCode !== null) throw new Error(`the demo ended:\n${said}`);
      return said.match(/status page {2}(http:\/\/[^/]+)\//)?.[1];
    });
    // Enough that every kind of step and several platforms are there to be looked at.
    await eventually("the demo shows failures", async () => {
      const { data } = await (await fetch(`${base}/api/v1/watches?failed=true&limit=0`)).json();
      return data.total >= 20;
    });
    return { base, stop };
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}
