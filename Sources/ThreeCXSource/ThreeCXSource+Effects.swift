// What the session and the composer ask for, done.

internal import Basics
internal import CallModel
internal import Health
internal import JSON
internal import Log
internal import Loop
internal import Metrics
internal import SourceKit

extension ThreeCXSource {
  func perform(_ effects: [CallControlSession.Effect]) {
    for effect in effects {
      switch effect {
      case .fetch(let key): fetch(key)
      case .takeSnapshot: takeSnapshot()
      case .changed(let part): changed(part)
      case .gone(let key): observe(composer.gone(key, time: Timestamp.now(), at: Moment.now()))
      case .floor(let parts, let isFirst): floor(parts, isFirst)
      }
    }
  }

  private func changed(_ part: Participant) {
    let now = Timestamp.now()
    frames.append(part, at: now, channel: composer.channel(part.key), group: composer.group(part.callID))
    observe(composer.changed(part, time: now, at: Moment.now()))
  }

  private func floor(_ parts: [Participant], _ isFirst: Bool) {
    if list != nil {
      // The calls go on under their numbers; channels that only the list spoke of go when the floor is told.
      list = nil
      composer = CallComposer(epoch: composer.epoch)
      observe([Observation(at: Timestamp.now(), .snapshotBegan)])
    }
    if isFirst { cameUp() }
    observe(composer.floor(parts, kinds: kinds, isFirst: isFirst, time: Timestamp.now(), at: Moment.now()))
  }

  private func cameUp() {
    isUp = true
    backoff.succeeded(at: Moment.now())
    health.setLink(name, .up)
    for condition in ThreeCXCondition.ofLink { health.clear(condition, on: name) }
    if let offset = client.broker.clockOffset, abs(offset) > 5 {
      health.raise(ThreeCXCondition.clock, on: name)
    } else {
      health.clear(ThreeCXCondition.clock, on: name)
    }
    Log.info("link is up", [.sourceName: name])
    outlet.observe([Observation(at: Timestamp.now(), .linkUp(epoch: nil))])
  }

  func observe(_ observations: [Observation]) { if !observations.isEmpty { outlet.observe(observations) } }

  private func fetch(_ key: Participant.Key) {
    fetchCount.add()
    let attempt = attempt
    LoopActor.begin { [self] in
      // One bounded request; its answer is a value for the session.
      let answer = await ask(key)
      if attempt == self.attempt { perform(session.fetched(key, answer, at: Moment.now())) }
    }
  }

  private func ask(_ key: Participant.Key) async -> CallControlSession.Answer {
    do throws(ThreeCXFault) {
      let path = "/callcontrol/\(key.dn.percentEncoded)/participants/\(key.id)"
      // All that was told after it waits for this answer.
      let json = try await client.get(path, within: .seconds(3))
      // An answer that cannot be read says nothing; the snapshot decides.
      return Participant(json, dn: key.dn).map { .found($0) } ?? .failed
    } catch {
      if case .status(404, _, _) = error { return .notThere }
      return .failed
    }
  }

  private func takeSnapshot() {
    snapshotCount.add()
    let attempt = attempt
    LoopActor.begin { [self] in
      // One bounded request; without an answer the session asks again.
      do throws(ThreeCXFault) {
        guard let list = try await client.get("/callcontrol").array else { throw .garbage("/callcontrol is no list") }
        guard attempt == self.attempt else { return }
        let states = list.compactMap { DNState($0) }
        snapshotFailures = 0
        kinds = Dictionary(states.map { ($0.dn, $0.kind) }) { first, _ in first }
        perform(session.snapshot(states, at: Moment.now()))
      } catch {
        guard attempt == self.attempt else { return }
        snapshotFailures += 1
        if isUp, list == nil, snapshotFailures <= 3 {
          perform(session.snapshot(nil, at: Moment.now()))
        } else {
          ended(ThreeCXCondition.of(error), error.description)
        }
      }
    }
  }
}
