import Basics
import Foundation
import Glibc
import JSON
import Loop
import Stagecraft
import TestSupport
import Testing

/// The admin page as a person meets it, in a real browser.
@Suite(.serialized) struct AdminPageTests {
  init() { _ = LoopThread.isRunning }

  private static let password = "violet-Tram-91"
  /// Where pictures for the docs go; none are made unless it is set.
  private static let pictures = ProcessInfo.processInfo.environment["SIDETONE_SCREENSHOTS"]

  @LoopActor
  private func onStage(
    rate: Double = 3, pace: Double = 0.3, more: String = "",
    _ play: (Stage, RunningProgram, Browser, Page) async throws -> Void
  ) async throws {
    let stage = try Stage(rate: rate, pace: pace, more: more)
    let agent = try stage.startAgent()
    let browser = try await Browser.open()
    defer { browser.close() }
    try await play(stage, agent, browser, try await browser.newPage())
    #expect(browser.complaints.isEmpty, "\(browser.complaints)")
  }

  @LoopActor private func home(_ agent: RunningProgram) -> String { "http://127.0.0.1:\(agent.port)/admin/" }

  @LoopActor private func tell(_ stage: Stage, _ words: [String]) throws -> String {
    try RunningProgram.run(words + ["--config", stage.configPath]).text.split(separator: "\n").first.map(String.init)
      ?? ""
  }

  @LoopActor private func addPerson(_ stage: Stage, _ name: String, _ role: String) throws {
    try Self.password.write(toFile: stage.folder + "/password", atomically: true, encoding: .utf8)
    _ = try tell(stage, ["users", "create", name, "--role", role, "--password-file", stage.folder + "/password"])
  }

  @LoopActor private func signIn(_ page: Page, _ agent: RunningProgram, _ name: String, _ password: String) async throws
  {
    try await page.go(home(agent))
    try await page.fill("username", name)
    try await page.fill("password", password)
    try await page.click("Sign in")
  }

  @LoopActor private func photograph(_ page: Page, _ name: String) async throws {
    if let folder = Self.pictures { try await page.photograph("\(folder)/\(name).png") }
  }

  // MARK: Coming in

  @Test func theFirstAdministratorIsClaimedAndSignsIn() async throws { try await claimIt() }

  @LoopActor private func claimIt() async throws {
    try await onStage { stage, agent, _, page in
      let token = try tell(stage, ["users", "claim"])
      try await page.go(home(agent) + "#/claim?token=" + token)
      try await page.fill("username", "ada")
      try await page.fill("password", "too short")
      try await page.click("Claim")
      try await page.shows("at least 12 characters")
      try await page.fill("password", Self.password)
      try await page.click("Claim")
      try await page.shows("ada · admin")
      try await page.click("Sign out")
      try await page.until("document.querySelector('[name=username]')")
      try await signIn(page, agent, "ada", Self.password)
      try await page.shows("ada · admin")
    }
  }

  @Test func aWrongPasswordIsRefusedAndThenLocks() async throws { try await guessIt() }

  @LoopActor private func guessIt() async throws {
    try await onStage { stage, agent, _, page in
      try addPerson(stage, "ada", "admin")
      try await page.go(home(agent))
      for _ in 0..<5 {
        try await page.fill("username", "ada")
        try await page.fill("password", "not-the-password")
        try await page.click("Sign in")
        try await page.until("document.querySelector('form .wrong[role=alert]:not(:empty)')")
        try await page.until("!document.querySelector('button[type=submit]').disabled")
        #expect(try await page.value("document.body.innerText.includes('Invalid credentials')") == .bool(true))
      }
      try await page.fill("password", Self.password)
      try await page.click("Sign in")
      try await page.shows("Too many attempts")
    }
  }

  @Test func aNewPasswordEndsTheSessionInTheOpenPage() async throws { try await changeIt() }

  @LoopActor private func changeIt() async throws {
    try await onStage { stage, agent, _, page in
      try addPerson(stage, "ada", "admin")
      try addPerson(stage, "bob", "admin")
      try await signIn(page, agent, "ada", Self.password)
      try await page.until("document.getElementById('live').textContent === 'live'")
      try "another-Tram-92".write(toFile: stage.folder + "/next", atomically: true, encoding: .utf8)
      _ = try tell(stage, ["users", "password", "ada", "--password-file", stage.folder + "/next"])
      try await page.until("document.querySelector('[name=username]')")
      try await signIn(page, agent, "ada", "another-Tram-92")
      try await page.shows("Choose a password of your own")
    }
  }

  // MARK: Living

  @Test func aCallAppearsAndEndsWithoutAReload() async throws { try await watchIt() }

  @LoopActor private func watchIt() async throws {
    try await onStage(rate: 2, pace: 0.5) { stage, agent, browser, page in
      try addPerson(stage, "ada", "admin")
      try await signIn(page, agent, "ada", Self.password)
      try await page.value("window.stayed = true")
      try await page.until("document.querySelector('#live-calls tr[data-id]')")
      let id = try await page.value("document.querySelector('#live-calls tr[data-id]').dataset.id").string ?? ""
      try await page.until("!document.querySelector('#live-calls tr[data-id=\"\(id)\"]')")
      try await page.go(home(agent) + "#/calls")
      try await page.until("document.querySelector('#history tr[data-id=\"\(id)\"]')")
      #expect(try await page.value("window.stayed") == .bool(true))
      try await photograph(page, "calls")
      try await page.go(home(agent) + "#/call/" + id)
      try await page.shows("call.ended")
      try await photograph(page, "timeline")
      try await takePictures(page, agent)
    }
  }

  @LoopActor private func takePictures(_ page: Page, _ agent: RunningProgram) async throws {
    try await page.go(home(agent) + "#/dashboard")
    try await page.until("document.querySelector('#live-calls tr[data-id]') && document.querySelector('.chart rect')")
    try await photograph(page, "dashboard")
    try await page.beDark(true)
    try await page.size(390, 844)
    try await page.until("document.querySelector('#live-calls tr[data-id]')")
    let isWider = try await page.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    #expect(isWider == .bool(false))
    try await photograph(page, "phone")
  }

  @Test func theReconnectButtonBeginsTheLinkAnew() async throws { try await reconnectIt() }

  @LoopActor private func reconnectIt() async throws {
    try await onStage { stage, agent, _, page in
      try addPerson(stage, "ada", "admin")
      try await signIn(page, agent, "ada", Self.password)
      try await page.until("document.getElementById('live').textContent === 'live'")
      let watch =
        "import(new URL('live.js', document.baseURI)).then((live) => { window.seen = []; live.watch((w) => { if (w.kind === 'event') window.seen.push(w.event.event); }); })"
      try await page.value(watch)
      try await page.click("Reconnect")
      try await page.shows("begins anew")
      try await page.until("window.seen.includes('link.down') && window.seen.includes('link.up')")
    }
  }

  @Test func theOpenPageResumesWhenTheAgentRestarts() async throws { try await restartIt() }

  @LoopActor private func restartIt() async throws {
    try await onStage(rate: 20, pace: 0.2) { stage, agent, _, page in
      try addPerson(stage, "ada", "admin")
      try await signIn(page, agent, "ada", Self.password)
      try await page.until("document.getElementById('live').textContent === 'live'")
      let watch =
        "import(new URL('live.js', document.baseURI)).then((live) => { window.seen = []; live.watch((w) => { if (w.kind === 'event') window.seen.push(w.position); }); })"
      try await page.value(watch)
      try await page.until("window.seen.length > 20")
      let port = agent.port
      agent.kill(SIGKILL)
      try await page.until("document.getElementById('live').textContent === 'reconnecting'")
      let before = try await page.value("window.seen.at(-1)").int ?? 0
      stage.agent = try RunningProgram(
        ["serve", "--config", stage.configPath], environment: ["SIDETONE_HTTP__LISTEN": "127.0.0.1:\(port)"])
      try await page.until("window.seen.at(-1) > \(before + 20)")
      let isWhole = try await page.value("window.seen.every((p, i) => i === 0 || p === window.seen[i - 1] + 1)")
      #expect(isWhole == .bool(true))
    }
  }

  // MARK: Where events go

  @Test func aDestinationIsMadeWatchedAndMended() async throws { try await deliverIt() }

  @LoopActor private func deliverIt() async throws {
    let receiver = Receiver { $0.number == 3 ? .status(422) : .status(200) }
    try await onStage(rate: 10, pace: 0.1, more: "[upstream]\nallowed_networks = 127.0.0.0/8") {
      stage, agent, _, page in
      try addPerson(stage, "ada", "admin")
      try await signIn(page, agent, "ada", Self.password)
      try await page.shows("ada · admin")
      try await page.go(home(agent) + "#/destinations")
      try await page.until("document.querySelector('[name=url]')")
      try await page.fill("name", "crm")
      try await page.fill("url", "http://10.0.0.1/")
      try await page.click("Make destination")
      try await page.shows("is not a public address")
      try await page.fill("url", "http://127.0.0.1:\(receiver.port)/")
      try await page.click("Make destination")
      try await page.until("document.getElementById('new-secret')?.value.startsWith('whsec_')")
      try await page.click("I have it")
      try await page.until("document.querySelector('#destinations .pill.good')")
      try await photograph(page, "destinations")
      try await page.go(home(agent) + "#/destination/crm")
      try await page.until("document.querySelector('#charts .chart rect') && document.querySelector('#log tbody tr')")
      try await page.until("document.querySelector('#aside tbody').innerText.includes('422')")
      try await photograph(page, "destination")
      try await page.click("Send them again")
      try await page.shows("1 are on their way")
      try await page.until("!document.querySelector('#aside').innerText.includes('422')")
      try await page.click("Send a test")
      try await page.shows("It answered 200")
      try await page.click("Pause")
      try await page.until("document.querySelector('#state .pill').innerText === 'paused'")
      try await page.click("Resume")
      try await page.until("document.querySelector('#state .pill').innerText === 'ok'")
      try await page.go(home(agent) + "#/retention")
      try await page.shows("Nothing was ever lost")
    }
  }

  // MARK: The PBX

  @Test func thePBXPageSaysWhatWorksAndWhatIsMissing() async throws { try await lookAtPBX() }

  @LoopActor private func lookAtPBX() async throws {
    try await onStage { stage, agent, _, page in
      try addPerson(stage, "ada", "admin")
      try await signIn(page, agent, "ada", Self.password)
      try await page.shows("ada · admin")
      try await page.go(home(agent) + "#/pbx")
      try await page.until("document.querySelectorAll('#capabilities tbody tr').length > 5")
      // No records of a PBX are read here: the panel is absent, not empty.
      #expect(try await page.value("document.getElementById('completeness') === null") == .bool(true))
    }
  }

  @Test func a3CXsRecordsAreComparedAtTheButton() async throws { try await compare() }

  @LoopActor private func compare() async throws {
    let recently = "date_trunc('second', now()) - interval '300 seconds'"
    let leg = PBXFixture.leg(
      1, 1, from: ("external_line", "+15550100"), to: ("extension", "101"), start: 0, answer: 5, end: 25,
      did: "5550199",
      base: recently)
    let records = try PBXFixture.database(PBXFixture.output + leg).reveal()
    let stage = try ThreeCXStage("--rate", "3", "--pace", "0.3", more: "database_url = \(records)")
    let browser = try await Browser.open()
    defer { browser.close() }
    let page = try await browser.newPage()
    try Self.password.write(toFile: stage.folder + "/password", atomically: true, encoding: .utf8)
    _ = try stage.tell("users", "create", "ada", "--role", "admin", "--password-file", stage.folder + "/password")
    try await signIn(page, stage.agent, "ada", Self.password)
    // The link of the 3CX is on the dashboard, with its state and its button.
    try await page.until("document.body.innerText.includes('3cx') && document.body.innerText.includes('Reconnect')")
    try await page.until("document.querySelector('#live-calls tr[data-id]')")
    try await page.go(home(stage.agent) + "#/pbx")
    try await page.shows("call history")
    try await page.shows("Grant SELECT on s_voicemail")
    try await page.click("Compare the last hour")
    try await page.until("document.querySelector('#completeness dl')?.innerText.includes('Missed')")
    try await photograph(page, "pbx")
    #expect(browser.complaints.isEmpty, "\(browser.complaints)")
  }

  // MARK: Keys and rights

  @Test func aKeyIsShownOnceAndRevoked() async throws { try await keyIt() }

  @LoopActor private func keyIt() async throws {
    try await onStage { stage, agent, _, page in
      try addPerson(stage, "ada", "admin")
      try await signIn(page, agent, "ada", Self.password)
      try await page.shows("ada · admin")
      try await page.go(home(agent) + "#/keys")
      try await page.fill("name", "wallboard")
      try await page.click("Make key")
      try await page.until("document.getElementById('new-key')")
      let key = try await page.value("document.getElementById('new-key').value").string ?? ""
      #expect(key.hasPrefix("sk_"))
      #expect(Client.get(agent.port, "/relay/active-calls", key: key).status == 200)
      try await photograph(page, "key")
      try await page.click("I have it")
      try await page.shows("wallboard")
      try await page.until("!document.documentElement.outerHTML.includes('\(key)')")
      try await page.click("Revoke")
      try await page.click("Revoke")
      try await page.until("document.querySelector('#keys .pill').textContent === 'revoked'")
      #expect(Client.get(agent.port, "/relay/active-calls", key: key).status == 401)
    }
  }

  @Test func aViewerSeesEverythingAndCanChangeNothing() async throws { try await viewIt() }

  @LoopActor private func viewIt() async throws {
    try await onStage { stage, agent, _, page in
      try addPerson(stage, "vic", "viewer")
      try await signIn(page, agent, "vic", Self.password)
      try await page.shows("vic · viewer")
      for (name, heading) in [
        ("dashboard", "Dashboard"), ("calls", "Calls"), ("keys", "API keys"), ("users", "Users"), ("errors", "Errors"),
        ("audit", "Audit"), ("configuration", "Configuration"), ("retention", "Retention"),
      ] {
        try await page.go(home(agent) + "#/" + name)
        try await page.until("document.querySelector('main h1')?.textContent === '\(heading)'")
        try await page.until("document.querySelector('main .card')")
        let writing =
          "[...document.querySelectorAll('main button')].map((b) => b.textContent.trim()).filter((t) => !['Show', 'More', 'Save as CSV'].includes(t))"
        #expect(try await page.value(writing) == .array([]), "\(name)")
      }
      for (method, path) in [
        ("POST", "api/keys"), ("POST", "api/users"), ("POST", "api/links/asterisk/reconnect"),
        ("POST", "api/retention/prune"), ("POST", "../relay/calls"),
      ] {
        let script =
          "import(new URL('api.js', document.baseURI)).then((api) => api.ask('\(method)', '\(path)', {}).then(() => 200, (e) => e.status))"
        #expect(try await page.value(script) == .int(403), "\(method) \(path)")
      }
    }
  }
}
