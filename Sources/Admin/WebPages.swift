// The admin pages: files from the binary, told apart by a tag of their content, under a policy that lets a page load
// nothing but them and talk to nobody but us.

internal import Basics
internal import CWeb
internal import Crypto
internal import HTTP
internal import Loop

enum WebPages {
  private struct Page {
    let name: String
    let body: [UInt8]
    let tag: String
    let type: String
  }

  static var routes: [Route] {
    let pages = files()
    let home = pages.first { $0.name == "index.html" }
    let all = pages.map { page in route("/admin/" + page.name, page) }
    return all + (home.map { [route("/admin/", $0)] } ?? []) + [toHome]
  }

  private static func files() -> [Page] {
    var count: Int32 = 0
    guard let first = web_files(&count) else { return [] }
    return UnsafeBufferPointer(start: first, count: Int(count)).map { file in
      let body = Array(UnsafeBufferPointer(start: file.bytes, count: file.size))
      let name = String(cString: file.name)
      return Page(
        name: name, body: body, tag: "\"" + Hex.encode(Digest.sha256(body).prefix(8)) + "\"", type: type(of: name))
    }
  }

  private static func type(of name: String) -> String {
    switch name.split(separator: ".").last {
    case "html": "text/html; charset=utf-8"
    case "css": "text/css; charset=utf-8"
    case "js": "text/javascript; charset=utf-8"
    case "svg": "image/svg+xml"
    default: "application/octet-stream"
    }
  }

  private static func route(_ path: String, _ page: Page) -> Route {
    Route(
      "GET", path, "A file of the admin page", tag: "page", access: .open, gives: .text(page.type),
      handler: .now { context throws(APIError) in .response(answer(page, context.request)) })
  }

  /// Relative, so that it holds under any prefix.
  private static let toHome = Route(
    "GET", "/admin", "To the admin page", tag: "page", access: .open, status: 308,
    handler: .now { context throws(APIError) in
      var response = HTTPResponse(status: 308)
      response.headers.append(("Location", "admin/"))
      return .response(response)
    })

  private static func answer(_ page: Page, _ request: HTTPRequest) -> HTTPResponse {
    let isKnown = request.list("if-none-match").contains(page.tag)
    var response = HTTPResponse(status: isKnown ? 304 : 200, contentType: page.type, body: isKnown ? [] : page.body)
    response.headers = [("ETag", page.tag), ("Cache-Control", "no-cache")] + protection
    return response
  }

  private static let protection: [(name: String, value: String)] = [
    (
      "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    ("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"), ("Cross-Origin-Resource-Policy", "same-origin"),
  ]
}
