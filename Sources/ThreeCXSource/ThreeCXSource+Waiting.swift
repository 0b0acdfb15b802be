// The list of calls, and what is asked now and then.

internal import Basics
internal import CallModel
internal import Health
internal import Log
internal import Loop
internal import SourceKit
internal import WebSocket

extension ThreeCXSource {
  // MARK: The list

  func beginList() {
    let list = ActiveCallsReader(client, epoch: composer.epoch)
    self.list = list
    list.start { [weak self, weak list] news in
      guard let self, let list, list === self.list, !isStopped else { return }
      take(news)
    }
  }

  private func take(_ news: ActiveCallsReader.News) {
    switch news {
    case .up:
      isUp = true
      for condition in ThreeCXCondition.ofLink { health.clear(condition, on: name) }
      health.raise(ThreeCXCondition.listOnly, on: name)
      health.setLink(name, .up)
      Log.info("link is up, by the list of active calls", [.sourceName: name])
      outlet.observe([Observation(at: Timestamp.now(), .linkUp(epoch: nil))])
    case .calls(let observations): observe(observations)
    case .down(let fault):
      isUp = false
      let condition = ThreeCXCondition.of(fault)
      health.raise(condition, on: name, detail: fault.description)
      health.setLink(name, .connecting, code: condition.code)
      outlet.observe([Observation(at: Timestamp.now(), .linkDown(reason: condition.code))])
    }
  }

  // MARK: Time

  func tick() {
    LoopActor.loop.after(.milliseconds(100)) { [weak self] in
      guard let self, !isStopped else { return }
      let now = Moment.now()
      if let socket { keepAlive(socket, now) }
      if socket != nil { perform(session.tick(at: now)) }
      observe(composer.tick(time: Timestamp.now(), at: now))
      if composer.wantsList { askForWaiting(at: now) }
      tick()
    }
  }

  /// Every two seconds while somebody waits where Call Control shows nobody; not for long where the list is refused.
  private func askForWaiting(at now: Moment) {
    guard isUp, list == nil, now >= nextAsking else { return }
    nextAsking = now + .seconds(2)
    LoopActor.begin { [self] in
      // One bounded request.
      do throws(ThreeCXFault) {
        let calls = try await XAPI(client).activeCalls()
        guard isUp, !isStopped else { return }
        observe(composer.listed(calls, time: Timestamp.now(), at: Moment.now()))
      } catch {
        if case .status = error { nextAsking = Moment.now() + .seconds(300) }
      }
    }
  }

  private func keepAlive(_ socket: WebSocketSession, _ now: Moment) {
    if now - socket.lastHeard > Self.silence { return ended(ThreeCXCondition.silent, "nothing came for 15 s") }
    guard now - lastPing > Self.pingPeriod else { return }
    lastPing = now
    socket.send(.ping, [])
  }
}
