// What this PBX and its licence allow, from which source, and what to do about the rest; whether the journal is complete.

import { get, may, post } from "../api.js";
import { button, card, h, moment, pill, table, toast, words } from "../draw.js";

const tone = { available: "good", limited: "warn", unavailable: "bad", unknown: "" };

export async function pbx(place) {
  const { capabilities } = await get("../api/capabilities");
  place.append(h("h1", {}, "PBX"), card("What works here", h("div", { id: "capabilities" }, table("Features of this PBX", [
    ["Feature", (one) => words(one.name)], ["", (one) => pill(one.state, tone[one.state])], ["Known from", (one) => one.source], ["What to do", (one) => one.remedy ?? ""],
  ], capabilities, "No PBX is configured."))));
  await completeness(place);
}

/** The comparison with the PBX's own records; absent where there are none to read. */
async function completeness(place) {
  const last = await get("../relay/reconcile").catch((error) => {
    if (error.status === 404) return null;
    throw error;
  });
  if (!last) return;
  const box = h("div", { id: "completeness" });
  const draw = (report) => box.replaceChildren(report.until ? figures(report) : h("p", { class: "muted" }, "Not compared yet since the start; it is done every minute."),
    ...(may("admin") ? [button("Compare the last hour", async () => {
      try {
        draw(await post("../relay/reconcile?seconds=3600"));
        toast("Compared.");
      } catch (error) {
        toast(error.message, "bad");
      }
    })] : []));
  draw(last);
  place.append(card("Completeness", box));
}

function figures(report) {
  const facts = [["Calls that ended", `${moment(report.from)} to ${moment(report.until)}`], ["In the PBX's records", report.recorded],
    ["Missed, and taken from the records", report.missing.length], ["Completed from the records", report.differing.length]];
  return h("div", {}, h("dl", { class: "facts" }, facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))])),
    report.differing.length ? table("What the records added", [
      ["Call", (one) => h("a", { href: `#/call/${one.call}` }, one.call.slice(0, 8))], ["Field", (one) => one.differences.map(({ field }) => words(field)).join(", ")],
      ["Heard", (one) => one.differences.map(({ heard }) => heard || "–").join(", ")], ["Recorded", (one) => one.differences.map(({ recorded }) => recorded).join(", ")],
    ], report.differing) : null);
}
