// Who may sign in, and as what.

import { ask, get, may, me, post } from "../api.js";
import { button, card, dialog, field, form, h, moment, pill, sure, table } from "../draw.js";

const roles = [["admin", "admin: everything"], ["supervisor", "supervisor: sees all, acts on calls"], ["agent", "agent: calls only"], ["viewer", "viewer: sees all, changes nothing"]];

export async function users(place) {
  const list = h("div", { id: "users" });
  const load = async () => list.replaceChildren(userTable((await get("api/users")).data, load));
  place.append(h("h1", {}, "Users"), may("admin") && card("Add somebody", addForm(load)), card("Everybody", list));
  await load();
}

function addForm(load) {
  return form("Add", [
    field("User name", "username", { required: true, autocomplete: "off" }), field("Role", "role", { options: roles, value: "viewer" }),
    field("First password", "password", { type: "password", autocomplete: "new-password", required: true }, "At least 12 characters; they change it when they first sign in."),
  ], async (values, element) => {
    await post("api/users", values);
    element.reset();
    await load();
  });
}

function userTable(rows, load) {
  return table("Everybody who may sign in", [
    ["Name", (user) => user.username], ["Role", (user) => user.role], ["Authenticator", (user) => user.totp ? "on" : "off"],
    ["Last here", (user) => moment(user.last_login_at)], ["State", (user) => user.disabled_at ? pill("disabled", "bad") : user.must_change_password ? pill("new password due", "warn") : pill("active", "good")],
    ...(may("admin") ? [["", (user) => actions(user, load)]] : []),
  ], rows);
}

function actions(user, load) {
  const change = async (body) => { await ask("PATCH", `api/users/${user.id}`, body); await load(); };
  return h("span", { class: "row" },
    button("Change", () => {
      const box = dialog(`Change ${user.username}`, form("Save", [field("Role", "role", { options: roles, value: user.role }),
        field("New password", "password", { type: "password", autocomplete: "new-password" }, "Empty: leave it. Their sessions end.")], async ({ role, password }) => {
        await change({ ...(role !== user.role ? { role } : {}), ...(password ? { password } : {}), ...(role === user.role && !password ? { role } : {}) });
        box.close();
      }, [button("Cancel", () => box.close(), "quiet")]));
    }, "quiet"),
    user.id !== me.id && (user.disabled_at ? button("Enable", () => change({ disabled: false }), "quiet")
      : button("Disable", () => sure(`${user.username} can no longer sign in, and their sessions end.`, "Disable", () => change({ disabled: true })), "quiet")),
    user.id !== me.id && button("Remove", () => sure(`${user.username} is removed for good.`, "Remove", async () => { await ask("DELETE", `api/users/${user.id}`); await load(); }), "quiet danger"));
}
