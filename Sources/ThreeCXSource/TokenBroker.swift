// One token for everything that talks to this 3CX: a PBX keeps one a client valid, and a newer one ends the older. Who
// asks while one is being fetched waits for that one.

internal import Basics
internal import HTTPClient
internal import JSON
internal import Loop

@LoopActor
final class TokenBroker {
  private let config: ThreeCXConfig
  private let client: HTTPClient
  private var current: (token: Secret<String>, endsAt: Moment)?
  private var isFetching = false
  private var waiting: [CheckedContinuation<Result<Secret<String>, ThreeCXFault>, Never>] = []
  /// After a failure, for a while: a PBX locks out who asks wrongly too often.
  private var failure: (fault: ThreeCXFault, until: Moment)?
  private var failures = 0
  private var refusals: [Moment] = []
  private(set) var requests = 0
  private(set) var clockOffset: Double?
  /// Told when tokens stop holding before their time again and again, and when that is over.
  var onContested: @LoopActor (Bool) -> Void = { _ in }

  /// Before its end by this much a token is replaced, or by a tenth of its life.
  private static let margin: Duration = .seconds(60)
  private static let contestSpan: Duration = .seconds(300)

  init(_ config: ThreeCXConfig, _ client: HTTPClient) { (self.config, self.client) = (config, client) }

  func token() async throws(ThreeCXFault) -> Secret<String> {
    if let current, Moment.now() < current.endsAt { return current.token }
    if let failure, Moment.now() < failure.until { throw failure.fault }
    guard isFetching else { return try await fetch() }
    return try await withCheckedContinuation { waiting.append($0) }.get()
  }

  /// The PBX did not take this token, although its time was not over.
  func refused(_ token: Secret<String>) {
    guard current?.token == token else { return }
    current = nil
    let now = Moment.now()
    refusals = refusals.filter { now - $0 < Self.contestSpan } + [now]
    onContested(refusals.count >= 3)
  }

  private func fetch() async throws(ThreeCXFault) -> Secret<String> {
    isFetching = true
    let result: Result<Secret<String>, ThreeCXFault>
    do throws(ThreeCXFault) {
      result = .success(try await ask())
      (failure, failures) = (nil, 0)
    } catch {
      failures += 1
      // Who is refused waits longer each time; a PBX that is down is asked again soon.
      let longest = if case .refused = error { 60 } else { 4 }
      failure = (error, Moment.now() + .seconds(min(longest, 1 << min(failures, 6))))
      result = .failure(error)
    }
    isFetching = false
    let all = waiting
    waiting = []
    for one in all { one.resume(returning: result) }
    return try result.get()
  }

  private func ask() async throws(ThreeCXFault) -> Secret<String> {
    requests += 1
    var request = ClientRequest("POST", config.url + "/connect/token")
    (request.connectTo, request.caFile) = (config.connectTo, config.caFile)
    request.headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")]
    request.body = Array(
      "grant_type=client_credentials&client_id=\(config.clientID.percentEncoded)&client_secret=\((config.clientSecret?.reveal() ?? "").percentEncoded)"
        .utf8)
    let answer: ClientResponse
    do throws(ClientFailure) { answer = try await client.send(request) } catch { throw .client(error) }
    let json = try? JSONValue(parsing: answer.body)
    guard answer.isSuccess else {
      let said = json?["error_description"]?.string ?? json?["error"]?.string ?? "status \(answer.status)"
      if [400, 401, 403].contains(answer.status) { throw .refused(said) }
      throw answer.status == 404 ? .noTokens("there is no /connect/token here") : .status(answer.status, "", said)
    }
    guard let json, let reply = TokenReply(json, now: Timestamp.now()) else {
      throw .noTokens("the answer has no access_token")
    }
    let margin = min(Self.margin, .nanoseconds(reply.lifetime.nanoseconds / 10))
    current = (reply.token, Moment.now() + (reply.lifetime - margin))
    clockOffset = reply.clockOffset
    let now = Moment.now()
    refusals = refusals.filter { now - $0 < Self.contestSpan }
    if refusals.isEmpty { onContested(false) }
    return reply.token
  }
}
