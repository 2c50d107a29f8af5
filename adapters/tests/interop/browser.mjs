// A browser: Chromium without a window, which opens page.mjs as a page of another origin than the server's.
//
// Usage: browser.mjs BASE_URL TARGET SESSIONS SESSIONS_FILE PAGE_ORIGIN      (SESSIONS is unused)
//
// The page's origin leads to a server in this process, and every other name nowhere. What the page finds comes back
// from it: each session, to SESSIONS_FILE, and at last one line. Exits 0 if all held.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { serve } from "./cut.mjs";

const WITHIN_MS = 60_000;
const STOP_MS = 5_000;

const [base, , , sessionsFile, pageOrigin] = process.argv.slice(2);
const cutting = await serve(base);
const script = readFileSync(new URL("./page.mjs", import.meta.url));
const profile = mkdtempSync(join(tmpdir(), "mcp-sse-browser-"));
let browser;
let closed;
let complaints = "";

const said = await new Promise((resolve) => {
  const pages = createServer(async (asked, answer) => {
    const { pathname } = new URL(asked.url, pageOrigin);
    const type = { "/": "text/html", "/page.mjs": "text/javascript" }[pathname];
    answer.writeHead(type || asked.method === "POST" ? 200 : 404, type ? { "Content-Type": type } : {});
    if (pathname === "/session") appendFileSync(sessionsFile, `${await text(asked)}\n`);
    if (pathname === "/done") resolve(JSON.parse(await text(asked)));
    answer.end({ "/": '<!doctype html><script type="module" src="/page.mjs"></script>', "/page.mjs": script }[pathname]);
  });
  pages.listen(0, "127.0.0.1", () => {
    const { host, port } = new URL(pageOrigin);
    const rules = [`MAP ${host}:${port || 80} 127.0.0.1:${pages.address().port}`, "MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"];
    const options = [
      "--headless",
      "--no-sandbox", // which root can't have
      "--disable-dev-shm-usage",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-default-apps",
      "--disable-extensions",
      "--disable-sync",
      "--no-first-run",
      "--no-proxy-server",
      `--user-data-dir=${profile}`,
      `--host-resolver-rules=${rules.join(", ")}`,
    ];
    browser = spawn("chromium", [...options, `${pageOrigin}/?${new URLSearchParams({ base, cutting })}`], {
      detached: true, // a group of its own, to be ended with all that it starts
      stdio: ["ignore", "ignore", "pipe"],
    });
    closed = once(browser, "close").catch(() => {});
    browser.stderr.setEncoding("utf8").on("data", (chunk) => (complaints = (complaints + chunk).slice(-2000)));
    browser.on("error", (error) => resolve({ why: `chromium does not start: ${error.message}` }));
    browser.once("exit", (code) => resolve({ why: `chromium ended with ${code}: ${complaints.slice(-300)}` }));
  });
  setTimeout(() => resolve({ why: `not done after ${WITHIN_MS / 1000} s: ${complaints.slice(-300)}` }), WITHIN_MS);
});

// It ends its own processes when it is asked to, else they are ended with it: the last one closes its output.
if (browser.pid) {
  const late = setTimeout(() => {
    try {
      process.kill(-browser.pid, "SIGKILL");
    } catch {
      // Nobody is left.
    }
  }, STOP_MS);
  browser.kill("SIGTERM");
  await closed;
  clearTimeout(late);
}
rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
console.log((said.why ?? said.what).replace(/\s+/g, " ").slice(0, 400));
process.exit(said.why ? 1 : 0);
