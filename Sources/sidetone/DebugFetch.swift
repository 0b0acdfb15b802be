// sidetone debug http-fetch: lets outside TLS suites drive the HTTP client that ships.

internal import Basics
internal import HTTPClient
internal import Loop

extension Sidetone {
  /// 0 for a status of 200 to 299 and nothing else; redirects are not followed.
  @LoopActor static func fetch(_ url: String, caFile: String?, connectTo: String?) async throws -> Int32 {
    var request = ClientRequest("GET", url)
    (request.caFile, request.connectTo) = (caFile, connectTo)
    do throws(ClientFailure) {
      let answer = try await HTTPClient().send(request)
      Files.print("\(answer.status) \(answer.body.count) bytes")
      return answer.isSuccess ? Exit.ok : Exit.broken
    } catch {
      Files.print("\(error.kind): \(error)", to: 2)
      return Exit.broken
    }
  }
}
