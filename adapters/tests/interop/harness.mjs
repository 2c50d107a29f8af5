// What the clients in JavaScript have in common: targets, steps that are bounded in time, calls whose answers are
// checked, and the line that is printed.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

export const MIB = 1024 * 1024;
export const STEP_MS = 30_000;

/** What reached the SDK's `onerror`. */
export const errors = [];
let doing = "start";

export function targetNamed(name) {
  return JSON.parse(readFileSync(new URL("./targets.json", import.meta.url), "utf8"))[name];
}

/** Bounds a step in time, and remembers its name for the report of a failure. */
export async function step(name, work) {
  doing = name;
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${STEP_MS / 1000} s`)), STEP_MS);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Does the parts one after the other and prints one line, the note if all held; else ends the process with 1. */
export async function run(parts, note = "") {
  try {
    for (const part of parts) await part();
    doing = "close";
    assert.deepEqual(errors.map(String), [], "the SDK reported errors");
    console.log(note);
  } catch (error) {
    console.log(`${doing}: ${error.message.replace(/\s+/g, " ").slice(0, 400)}`, ...errors.slice(0, 1).map(String));
    process.exit(1);
  }
}

/** What comes first with every server. `ask` makes a call and gives the text of its answer. */
export async function firstCalls(client, target, ask) {
  await step("list tools", async () => {
    const names = (await client.listTools()).tools.map((tool) => tool.name);
    assert.deepEqual(target.tools.filter((name) => !names.includes(name)), [], "tools not listed");
  });
  await step("call a tool", async () => {
    const answer = await ask(target.call);
    assert(answer.includes(target.call.contains), `unexpected answer: ${answer.slice(0, 80)}`);
  });
}

/** Texts that are long, or full of what may end a line. */
export async function hardCalls(target, ask) {
  await step("echo 1 MiB", () => echo(target.echo, "m".repeat(MIB), ask));
  if (target.echo.unicode) {
    await step("echo what line splitters trip over", () =>
      echo(target.echo, "é \u2028 \u0085 \u{1f980} \r\n \n\n data: x \0 end", ask));
  }
  if (target.large) {
    await step("receive 1 MiB", async () => {
      const answer = await ask(target.large);
      assert.equal(answer.length, target.large.length);
    });
  }
}

/** Has a tool say a text again. */
export async function echo({ name, argument, exact }, text, ask) {
  const answer = await ask({ name, arguments: { [argument]: text } });
  const same = exact ? answer === text : answer.includes(text);
  assert(same, `${text.length} characters were sent, and these ${answer.length} came: ${answer.slice(0, 80)}`);
}

/**
 * The steps that the transport hands over before the answer, and how often `onprogress` was called: the SDK forgets
 * the handler as soon as the answer is parsed, and so loses a notification that came in the same read. `ask` makes the
 * call with the options that it is given.
 */
export async function progress(transport, ask) {
  const seen = [];
  const deliver = transport.onmessage;
  let answered = false;
  transport.onmessage = (message, extra) => {
    if (message.method === "notifications/progress") {
      assert(!answered, "a notification came after the answer");
      seen.push(message.params.progress);
    } else if ("result" in message) {
      answered = true;
    }
    deliver.call(transport, message, extra);
  };
  let called = 0;
  await ask({ onprogress: () => (called += 1) });
  transport.onmessage = deliver;
  return { seen, called };
}

/** No step is missing, and none came twice. */
export function checkSteps(seen, steps) {
  assert.equal(new Set(seen).size, steps, `progress notifications: ${seen}`);
  assert.equal(seen.length, steps, `progress notifications: ${seen}`);
}

/** Lets the SDK lose the last of the steps, which it then reports as an error. */
export function bearLoss(called, steps) {
  assert(called >= steps - 1, `onprogress was called ${called} times`);
  const lost = errors.findIndex((error) => /unknown token/i.test(error.message));
  if (called === steps - 1 && lost >= 0) errors.splice(lost, 1);
}
