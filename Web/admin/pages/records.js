// What was done, what went wrong, how it is set up, what is kept.

import { get, may, post } from "../api.js";
import { button, card, field, form, h, moment, pill, size, sure, table, toast, words } from "../draw.js";

export async function audit(place) {
  const [rows, more, found] = [h("div", { id: "audit" }), h("div", { class: "row" }), []];
  const load = async (before) => {
    const page = await get(`api/audit?limit=100${before ? `&before=${before}` : ""}`);
    found.push(...page.data);
    rows.replaceChildren(table("Who did what, newest first", [
      ["At", (entry) => moment(entry.at)], ["Who", (entry) => entry.actor], ["Did", (entry) => entry.action], ["To", (entry) => entry.target],
      ["From", (entry) => entry.address], ["", (entry) => entry.detail], ["No.", (entry) => String(entry.number)],
    ], found));
    more.replaceChildren(...(page.next ? [button("More", () => load(page.next), "quiet")] : []));
  };
  place.append(h("h1", {}, "Audit"), card("Entries", rows, more));
  await load();
}

export async function errors(place) {
  const [groups, rows] = [h("div", {}), h("div", { id: "errors" })];
  const load = async (query = "") => {
    const page = await get(`api/errors?${query}`);
    groups.replaceChildren(table("Kinds of trouble", [
      ["", (group) => pill(group.level, group.level === "error" ? "bad" : "warn")], ["What", (group) => group.text], ["Times", (group) => String(group.count)],
      ["First", (group) => moment(group.first)], ["Last", (group) => moment(group.last)],
    ], page.groups, "Nothing went wrong since the start."));
    rows.replaceChildren(table("Lines, newest first", [
      ["At", (line) => moment(line.at)], ["", (line) => pill(line.level, line.level === "error" ? "bad" : "warn")], ["What", (line) => line.text],
      ["With", (line) => h("span", { class: "keys" }, Object.entries(line.fields).map(([name, value]) => `${name}=${value}`).join("  "))],
    ], page.data, "No line matches."));
  };
  place.append(h("h1", {}, "Errors"), card("Kinds", groups), card("Lines", (() => {
    const search = form("Show", [field("Level", "level", { options: [["", "any"], ["error"], ["warning"]] }), field("Contains", "text", { placeholder: "a word, or a request id" })],
      async (values) => load(new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString()));
    search.classList.add("filters");
    return search;
  })(), rows));
  await load();
}

export async function configuration(place) {
  const { data } = await get("api/config");
  place.append(h("h1", {}, "Configuration"), card("What counts, and who set it", table("Settings", [
    ["Setting", (setting) => h("code", {}, setting.name)], ["Value", (setting) => setting.value || h("span", { class: "muted" }, "empty")], ["Set by", (setting) => setting.origin],
  ], data)));
}

export async function retention(place) {
  const box = h("div", { id: "retention" });
  const load = async () => {
    const kept = await get("api/retention");
    const facts = [["Entries", `${kept.oldest} to ${kept.head}`], ["Size", `${size(kept.journal_bytes)} of ${kept.retention_mib} MiB`], ["Kept for", `${kept.retention_days} days`], ["Open calls", kept.open_calls], ["Would go now", kept.prunable]];
    box.replaceChildren(h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])), ...(may("admin") ? [button("Remove what is due", () =>
      sure(`${kept.prunable} entries are removed for good.`, "Remove", async () => { toast(`${(await post("api/retention/prune")).removed} entries removed.`); await load(); }), "danger")] : []));
  };
  place.append(h("h1", {}, "Retention"), card("The journal", box, h("p", { class: "muted" }, "It is applied by itself every minute; the limits are in the configuration, section journal.")));
  await load();
  place.append(card("The loss ledger", h("div", { id: "losses" }, lossTable((await get("api/health")).losses))));
}

const lossTable = (rows) => table("Events that were dropped, or that a destination was not given", [
  ["At", (row) => moment(row.at)], ["Why", (row) => words(row.reason)], ["Events", (row) => String(row.count)], ["What", (row) => row.detail],
  ["Ids", (row) => row.events.length ? h("details", {}, h("summary", {}, `${row.events.length}`), h("code", {}, row.events.join(" "))) : "–"],
], rows, "Nothing was ever lost.");
