// Passwords are hashed off the loop, one at a time, and after each the processor rests for as long as it took: a storm
// of logins leaves the host to the PBX, and one login feels nothing of it.

internal import Basics
internal import Crypto
internal import Loop

@LoopActor
final class PasswordWork {
  /// Passwords that wait; who comes on top is told to come again.
  nonisolated static let limit = 8

  private let worker: Worker
  private let cost: Int
  private let turn = Turn()
  private var waiting = 0
  private var restUntil = Moment(nanoseconds: 0)

  init(worker: Worker, cost: Int) { (self.worker, self.cost) = (worker, cost) }

  /// - Parameter hash: nil for a name that nobody has, which takes as long as a wrong password.
  func check(_ password: Secret<String>, _ hash: String?) async throws(AccountError) -> Bool {
    let hash = hash ?? nobody
    return try await run { Bcrypt.verify(Array(password.reveal().utf8), hash) }
  }

  func hash(_ password: Secret<String>) async throws(AccountError) -> String {
    let cost = cost
    guard let hash = try await run({ Bcrypt.hash(password, cost: cost) }) else {
      throw .badField("password", "cannot be hashed")
    }
    return hash
  }

  /// A well-formed hash that no password has.
  private var nobody: String { "$2b$\(cost < 10 ? "0" : "")\(cost)$" + String(repeating: ".", count: 53) }

  private func run<T: Sendable>(_ work: @escaping @Sendable () -> T) async throws(AccountError) -> T {
    guard waiting < Self.limit else { throw .busy }
    waiting += 1
    await turn.begin()
    defer {
      turn.end()
      waiting -= 1
    }
    await LoopActor.loop.sleep(for: restUntil - Moment.now())
    let start = Moment.now()
    defer { restUntil = Moment.now() + min(Moment.now() - start, .seconds(1)) }
    return await worker.run { () throws(Never) in work() }
  }
}
