import Basics
import Identity
import Loop
import Store
import TestSupport

enum Rooms {
  /// Identity on a new state, with passwords that are cheap to hash.
  @LoopActor static func identity(_ engine: Engine) async throws -> IdentityRoom {
    try await identity(at: try engine.makePlace())
  }

  @LoopActor static func identity(at place: StorePlace) async throws -> IdentityRoom {
    let secret = ServerSecret(Secret(Array("a secret of the tests, long enough".utf8)))
    let room = IdentityRoom(
      try await Store.open(place), secret: secret, loginsPerMinute: 5, passwordCost: 4, worker: Worker(name: "worker"))
    try await room.load()
    return room
  }
}
