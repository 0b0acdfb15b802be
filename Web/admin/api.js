// The agent's API: relative addresses, so that the page works under any prefix.

/** A refusal of the agent's: its sentence, its stable code, the fields that are wrong. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.message ?? `The agent answered ${status}.`);
    this.status = status;
    this.code = problem.code ?? "";
    this.fields = problem.fields ?? {};
    this.requestID = problem.request_id;
  }
}

/** Who is signed in; null while nobody is. */
export let me = null;
const listeners = new Set();

export function onSession(listener) { listeners.add(listener); }

export function setSession(session) {
  me = session;
  for (const listener of listeners) listener(session);
}

export const may = (right) => me?.rights.includes(right) ?? false;

export async function ask(method, path, body) {
  const headers = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && me) headers["X-CSRF-Token"] = me.csrf_token;
  let response;
  try {
    response = await fetch(new URL(path, base), { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
  } catch {
    throw new Refusal(0, { message: "The agent cannot be reached.", code: "unreachable" });
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const refusal = new Refusal(response.status, answer);
  if (response.status === 401 && me && !path.startsWith("api/login")) setSession(null);
  throw refusal;
}

/** The folder of this page: `…/admin/`. */
export const base = new URL("./", document.baseURI);
export const get = (path) => ask("GET", path);
export const post = (path, body) => ask("POST", path, body ?? {});
