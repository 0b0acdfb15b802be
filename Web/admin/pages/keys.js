// API keys: made, shown once, rotated, revoked.

import { ask, get, may, me, post } from "../api.js";
import { button, card, dialog, field, form, h, moment, pill, sure, table, toast } from "../draw.js";

const scopes = ["calls:read", "history:read", "events:read", "calls:control", "metrics:read", "destinations:read", "destinations:write", "admin:read", "admin"];
const usual = ["calls:read", "history:read", "events:read"];

export async function keys(place) {
  const list = h("div", { id: "keys" });
  const load = async () => list.replaceChildren(keyTable((await get("api/keys")).data, load));
  place.append(h("h1", {}, "API keys"),
    may("admin") && card("Make a key", makeForm(load)), card("Keys", list));
  await load();
}

function makeForm(load) {
  const boxes = h("fieldset", {}, h("legend", {}, "What it may do"), scopes.filter(may).map((scope) =>
    h("label", { class: "check" }, h("input", { type: "checkbox", name: `scope:${scope}`, checked: usual.includes(scope) }), " ", scope)),
    h("small", { class: "wrong", "data-wrong": "scopes", role: "alert" }));
  return form("Make key", [
    field("Name", "name", { required: true, placeholder: "Who will use it" }),
    field("Kind", "kind", { options: [["relay", "relay client"], ["app", "tenant app"]] }),
    field("Valid until", "expires", { type: "date" }, "Empty: until it is revoked."), boxes,
  ], async (values, element) => {
    const chosen = scopes.filter((scope) => values[`scope:${scope}`]);
    const made = await post("api/keys", { name: values.name, kind: values.kind, scopes: chosen, ...(values.expires ? { expires_at: `${values.expires}T23:59:59Z` } : {}) });
    element.reset();
    showOnce(made);
    await load();
  });
}

function showOnce(made) {
  const text = h("input", { readonly: true, value: made.key, "aria-label": "The key", id: "new-key" });
  const box = dialog("Keep it now", h("p", {}, `The key “${made.name}” is shown this once.`), text, h("div", { class: "row" },
    button("Copy", async () => { text.select(); await navigator.clipboard?.writeText(made.key).catch(() => document.execCommand("copy")); toast("Copied."); }),
    button("I have it", () => box.close(), "quiet")));
  text.select();
}

function state(key) {
  if (key.revoked_at) return pill("revoked", "bad");
  if (key.expires_at && new Date(key.expires_at) < new Date()) return pill("expired", "bad");
  return pill("active", "good");
}

function keyTable(rows, load) {
  const isActive = (key) => !key.revoked_at && !(key.expires_at && new Date(key.expires_at) < new Date());
  return table("API keys", [
    ["Name", (key) => key.name], ["Key", (key) => h("code", {}, key.hint)], ["Kind", (key) => key.kind], ["May", (key) => key.scopes.join(", ") || "as its user"],
    ["Made", (key) => moment(key.created_at)], ["Last used", (key) => moment(key.last_used_at)], ["Until", (key) => moment(key.expires_at)], ["State", state],
    ...(may("admin") ? [["", (key) => isActive(key) ? actions(key, load) : ""]] : []),
  ], rows);
}

function actions(key, load) {
  const rotate = key.kind !== "user" && button("Rotate", () => {
    const box = dialog(`Rotate “${key.name}”`, form("Rotate", [field("Hours that both hold", "hours", { type: "number", min: 0, max: 720, value: 24 })], async ({ hours }) => {
      const made = await post(`api/keys/${key.id}/rotate`, { overlap_hours: Number(hours) });
      box.close();
      showOnce(made);
      await load();
    }, [button("Cancel", () => box.close(), "quiet")]));
  }, "quiet");
  const revoke = button("Revoke", () => sure(`“${key.name}” stops at once, and its connections end.`, "Revoke", async () => {
    await ask("DELETE", `api/keys/${key.id}`);
    await load();
  }), "quiet danger");
  return h("span", { class: "row" }, rotate, revoke);
}
