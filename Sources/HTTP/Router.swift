// Finds the route, asks who is calling, and says 404, 405 or who may.

internal import Basics
package import Loop

/// Says who the caller is, or refuses. Given by `Identity`.
package typealias Authoriser = @LoopActor @Sendable (HTTPRequest, Access, _ peer: String) throws(APIError) -> Caller?

@LoopActor
package final class Router {
  private struct Node {
    var fixed: [String: Node] = [:]
    var variable: [Node] = []
    var methods: [String: (route: Route, names: [String])] = [:]
  }

  private var root = Node()
  package private(set) var routes: [Route] = []
  private var exact: [String: [String: Route]] = [:]

  package init(_ routes: [Route] = []) { for route in routes { add(route) } }

  package func add(_ route: Route) {
    routes.append(route)
    if !route.path.contains("{") { exact[route.path, default: [:]][route.method] = route }
    Self.insert(route, Self.parts(route.path)[...], names: [], into: &root)
  }

  /// Gives a declared route its handler late, when it depends on all that were declared.
  package func replaceHandler(
    _ method: String, _ path: String,
    _ handler: @escaping @LoopActor @Sendable (RequestContext) throws(APIError) -> HTTPReply
  ) {
    exact[path]?[method]?.handler = .now(handler)
  }

  private static func parts(_ path: String) -> [String] {
    path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
  }

  private static func insert(_ route: Route, _ parts: ArraySlice<String>, names: [String], into node: inout Node) {
    guard let part = parts.first else {
      node.methods[route.method] = (route, names)
      return
    }
    if part.hasPrefix("{") {
      if node.variable.isEmpty { node.variable = [Node()] }
      insert(route, parts.dropFirst(), names: names + [String(part.dropFirst().dropLast())], into: &node.variable[0])
    } else {
      insert(route, parts.dropFirst(), names: names, into: &node.fixed[part, default: Node()])
    }
  }

  /// The route and its path values. HEAD is answered by GET.
  package func find(_ method: String, _ path: String) throws(APIError) -> (route: Route, values: [String: String]) {
    let wanted = method == "HEAD" ? "GET" : method
    if let route = exact[path]?[wanted] { return (route, [:]) }
    var values: [String] = []
    guard let methods = Self.descend(root, Self.parts(path)[...], &values) else {
      throw APIError(404, "not-found", "There is nothing at this address.")
    }
    guard let found = methods[wanted] else { throw Self.notAllowed(method, Array(methods.keys)) }
    return (found.route, Dictionary(zip(found.names, values)) { first, _ in first })
  }

  private static func descend(
    _ node: Node, _ parts: ArraySlice<String>, _ values: inout [String]
  ) -> [String: (route: Route, names: [String])]? {
    guard let part = parts.first else { return node.methods.isEmpty ? nil : node.methods }
    if let next = node.fixed[part] ?? spelt(part, of: node), let found = descend(next, parts.dropFirst(), &values) {
      return found
    }
    guard let next = node.variable.first, !part.isEmpty else { return nil }
    values.append(HTTPRequest.decoded(part[...], isForm: false))
    if let found = descend(next, parts.dropFirst(), &values) { return found }
    values.removeLast()
    return nil
  }

  /// RFC 3986 §6.2.2.2: `%61` is another spelling of `a`.
  private static func spelt(_ part: String, of node: Node) -> Node? {
    part.utf8.contains(37) ? node.fixed[HTTPRequest.decoded(part[...], isForm: false)] : nil
  }

  /// Methods that are known, if not here (IANA's registry, and QUERY).
  private static let registered: Set<String> = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY", "ACL", "BIND", "CHECKIN",
    "CHECKOUT", "COPY", "LABEL", "LINK", "LOCK", "MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "PROPFIND",
    "PROPPATCH", "REBIND", "REPORT", "SEARCH", "UNBIND", "UNLINK", "UNLOCK", "UPDATE",
  ]

  private static func notAllowed(_ method: String, _ allowed: [String]) -> APIError {
    guard registered.contains(method) else { return APIError(501, "unknown-method", "This method is not known here.") }
    let names = (allowed + (allowed.contains("GET") ? ["HEAD"] : [])).sorted().joined(separator: ", ")
    var error = APIError(405, "method-not-allowed", "Allowed here: \(names).")
    error.headers = [("Allow", names)]
    return error
  }
}
