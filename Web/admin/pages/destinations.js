// Where events go: every destination with its lag and success, what was set aside, the log of attempts, and sending again.

import { ask, get, may, post } from "../api.js";
import { bars, button, card, dialog, field, form, h, moment, pill, spark, sure, table, toast, words } from "../draw.js";

const tones = { ok: "good", failing: "bad", paused: "warn", gone: "bad", accepted: "good", refused: "bad", kept: "warn", slow_down: "warn" };
const path = (id, part = "") => `../api/destinations/${encodeURIComponent(id)}${part}`;
const forms = [["cloudevents", "CloudEvents, structured"], ["binary", "CloudEvents, binary"], ["relay", "relay frames"], ["cti", "CTI frames"]];
const list = (text) => text.split(/[\s,]+/).filter(Boolean);

/** Acts, says so, and shows a refusal where the person looks. */
async function attempt(act, said) {
  try {
    await act();
    if (said) toast(said);
  } catch (error) {
    toast(error.message, "bad");
  }
}

// MARK: All of them

export async function destinations(place) {
  const box = h("div", { id: "destinations" });
  const load = async () => box.replaceChildren(overview((await get("../api/destinations")).data));
  place.append(h("h1", {}, "Destinations"), card("Where events go", box), may("destinations:write") && card("Make a webhook", makeForm(load)) || "");
  await load();
  const timer = setInterval(() => load().catch(() => {}), 3000);
  return () => clearInterval(timer);
}

function overview(rows) {
  return table("Destinations", [
    ["Name", (one) => h("a", { href: `#/destination/${encodeURIComponent(one.name)}` }, one.name)], ["Kind", (one) => one.type], ["", (one) => pill(one.health, tones[one.health])],
    ["Waiting", (one) => String(one.lag + one.held)], ["Set aside", (one) => one.set_aside ? pill(String(one.set_aside), "bad") : "0"], ["Acknowledged", (one) => String(one.accepted)],
    ["Last", (one) => moment(one.last_accepted_at)], ["The last hour", (one) => spark(`Acknowledged a minute by ${one.name}`, sparkline(one))],
  ], rows, "Events go nowhere yet.");
}

function sparkline(one) {
  const points = one.minutes.map((minute) => minute.accepted);
  return points.length > 1 ? points : [0, points[0] ?? 0];
}

function makeForm(load) {
  return form("Make destination", [
    field("Name", "name", { required: true, placeholder: "crm" }), field("Address", "url", { required: true, type: "url", placeholder: "https://crm.example/hooks" }),
    field("Body", "body", { options: forms }), field("Events", "types", { placeholder: "call.ended, voicemail.*" }, "Empty: all."),
    field("Queues", "queues", {}, "Empty: all."), field("DIDs", "dids", {}, "Empty: all."),
    field("Begin with", "from", { options: [["now", "what happens from now on"], ["oldest", "everything the journal has"]] }),
  ], async ({ name, url, body, types, queues, dids, from }, element) => {
    const made = await post("../api/destinations", { name, url, body, from, types: list(types), queues: list(queues), dids: list(dids) });
    element.reset();
    showSecret(made);
    await load();
  });
}

function showSecret(made) {
  const text = h("input", { readonly: true, value: made.secret, "aria-label": "The secret", id: "new-secret" });
  const box = dialog("Keep it now", h("p", {}, `Deliveries to “${made.name}” are signed with this secret (Standard Webhooks). It is shown this once.`), text,
    h("div", { class: "row" }, button("I have it", () => box.close(), "quiet")));
  text.select();
}

// MARK: One of them

export async function destination(place, name) {
  const [state, charts, open, log] = [h("div", { id: "state" }), h("div", { id: "charts" }), h("div", { id: "aside" }), h("div", { id: "log" })];
  const lags = [];
  const draw = (one) => {
    lags.push(one.lag + one.held);
    if (lags.length > 60) lags.shift();
    state.replaceChildren(...facts(one, reload));
    charts.replaceChildren(...drawCharts(one, lags));
  };
  const reload = async () => {
    draw(await get(path(name)));
    open.replaceChildren(...(await openDeliveries(name, reload)));
    log.replaceChildren(logTable((await get(path(name, "/log?limit=50"))).data));
  };
  place.append(h("h1", {}, "Destination ", name), h("div", { class: "grid" }, card("How it stands", state), card("How it goes", charts)),
    card("Held and set aside", open), may("destinations:write") && card("Send again", replayForm(name, reload)) || "", card("Attempts", log));
  await reload();
  const timer = setInterval(() => reload().catch(() => {}), 3000);
  return () => clearInterval(timer);
}

function facts(one, reload) {
  const rows = [
    ["Address", one.url], ["Body", one.body], ["Events", one.types.join(", ") || "all"], ["Queues", one.queues.join(", ") || "all"], ["DIDs", one.dids.join(", ") || "all"],
    ["State", `${one.state} since ${moment(one.state_since)}${one.state_reason ? `: ${one.state_reason}` : ""}`], ["Behind", `${one.lag} events, ${one.held} held, ${one.in_flight} in flight`],
    ["Acknowledged", `${one.accepted}, the last ${moment(one.last_accepted_at)}`], ["Last failure", one.last_failure ? `${one.last_failure}, ${moment(one.last_failure_at)}` : "none since the start"],
    ["Secret", one.type === "webhook" ? `version ${one.secret_version}${one.previous_secret_until ? `; the one before until ${moment(one.previous_secret_until)}` : ""}` : "–"],
  ];
  return [h("p", {}, pill(one.health, tones[one.health])), h("dl", { class: "facts" }, rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
    may("destinations:write") ? actions(one, reload) : ""];
}

function actions(one, reload) {
  const act = (part, said) => attempt(async () => {
    await post(path(one.id, part));
    await reload();
  }, said);
  const toggle = one.state === "active" ? button("Pause", () => act("/pause", "It is given nothing until it is resumed; events are kept."), "quiet")
    : button("Resume", () => act("/resume", "It goes on where it was left."), "quiet");
  const hurry = one.state === "active" && one.held > 0 && button("Try now", () => act("/resume", "What waited is tried now."), "quiet");
  const test = button("Send a test", () => attempt(async () => {
    const answer = await post(path(one.id, "/test"));
    toast(answer.outcome === "accepted" ? `It answered ${answer.status ?? "well"}.` : `${words(answer.outcome)}: ${answer.reason}`, answer.outcome === "accepted" ? "" : "bad");
  }), "quiet");
  const own = one.origin === "api" ? [
    button("New secret", () => sure("Deliveries are signed with both secrets for a day.", "New secret", async () => {
      showSecret(await post(path(one.id, "/rotate-secret"), { overlap_hours: 24 }));
      await reload();
    }), "quiet"),
    button("Remove", () => sure(`“${one.name}” is given nothing more; what it has not had is noted in the loss ledger.`, "Remove", async () => {
      await ask("DELETE", path(one.id));
      location.hash = "#/destinations";
    }), "quiet danger")] : [h("small", {}, "It stands in the configuration file.")];
  return h("div", { class: "row" }, toggle, hurry || "", test, own);
}

function drawCharts(one, lags) {
  const rows = one.minutes.slice(-20).map((minute) => ({
    label: new Date(minute.at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }), whole: minute.accepted + minute.failed, part: minute.accepted,
  }));
  return [rows.length ? bars("Attempts by the minute", rows, ["attempts", "acknowledged"]) : h("p", { class: "muted" }, "Nothing was sent in the last hour."),
    h("p", { class: "muted" }, `Waiting now: ${lags.at(-1)}`), spark("Events that waited, in the last minutes", lags.length > 1 ? lags : [0, 0])];
}

async function openDeliveries(name, reload) {
  const [aside, held] = [(await get(path(name, "/deliveries?state=aside&limit=50"))).data, (await get(path(name, "/deliveries?state=held&limit=50"))).data];
  const columns = [["Position", (row) => String(row.position)], ["Event", (row) => row.type], ["Why", (row) => row.reason], ["Attempts", (row) => String(row.attempts)], ["Since", (row) => moment(row.since)]];
  const mend = aside.length && may("destinations:write") ? h("div", { class: "row" },
    button("Send them again", () => attempt(async () => {
      const { count } = await post(path(name, "/replay"), { status: "aside" });
      toast(`${count} are on their way.`);
      await reload();
    }), "quiet"),
    button("Let them go", () => sure("They are not sent any more; the loss ledger keeps their ids.", "Let them go", async () => {
      await post(path(name, "/let-go"));
      await reload();
    }), "quiet danger")) : "";
  return [h("h3", {}, "Set aside"), table("Refused, or given up", columns, aside, "None."), mend,
    h("h3", {}, "Held for another attempt"), table("Held", [...columns, ["Next", (row) => moment(row.next_at)]], held, "None.")];
}

function replayForm(name, reload) {
  const zoned = (text) => new Date(text).toISOString();
  return form("Send again", [
    field("From", "from", { type: "datetime-local", required: true, step: 1 }), field("Until", "until", { type: "datetime-local", step: 1 }, "Empty: now."),
    field("Events", "types", { placeholder: "call.ended" }, "Empty: all that it takes."),
  ], async ({ from, until, types }) => {
    const body = { from: from ? zoned(from) : "", types: list(types), ...(until ? { until: zoned(until) } : {}) };
    const { until: last } = await post(path(name, "/replay"), body);
    toast(`Everything up to position ${last} is being looked through.`);
    await reload();
  });
}

const logTable = (rows) => table("Attempts, the newest first", [
  ["At", (row) => moment(row.at)], ["Position", (row) => String(row.position)], ["Event", (row) => row.type], ["Attempt", (row) => String(row.attempt)],
  ["", (row) => pill(words(row.outcome), tones[row.outcome])], ["Answer", (row) => [row.status, row.reason].filter((part) => part !== null && part !== "").join(": ")], ["Took", (row) => `${row.milliseconds} ms`],
], rows, "Nothing was sent yet.");
