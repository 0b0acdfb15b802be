// Which PBX it listens to, by the configuration.

internal import AsteriskSource
internal import CallModel
internal import Health
internal import Journal
internal import Loop
internal import Normaliser
internal import ThreeCXSource

@LoopActor
extension Agent {
  /// The PBX's own records: history, and what the journal missed.
  func openDatabase(_ journal: Journal, _ pipeline: Pipeline) {
    guard config.threecxDatabase.isOn else { return }
    let database = PBXDatabase(config.threecxDatabase, health: health, region: config.region)
    self.database = database
    completeness = Completeness(
      journal: journal, database: database, recordingsFolder: config.threecxDatabase.recordingsFolder,
      source: pipeline.board.source, metrics: metrics,
      tell: { [unowned pipeline] in pipeline.tell($0) })
    completeness?.start()
    people = PeopleWatch(database, pipeline: pipeline)
    people?.start()
  }

  func makeSource(_ pipeline: Pipeline) throws -> (any CallCommands)? {
    if config.threecx.isOn { return try makeThreeCX(pipeline) }
    if config.asterisk.isOn { return makeAsterisk(pipeline) }
    // Without an API, the PBX's records still tell of every call once it has ended.
    if config.threecxDatabase.isOn { return nil }
    health.raise(AgentCondition.noPBX)
    return nil
  }

  private func makeThreeCX(_ pipeline: Pipeline) throws -> any CallCommands {
    let source = try ThreeCXSource(
      config.threecx, epoch: pipeline.board.epoch, outlet: pipeline, health: health, metrics: metrics)
    self.source = source
    pipeline.onLoss = { [unowned source] in source.reconnect() }
    return ThreeCXCommands(source) { [unowned pipeline] group, request in pipeline.expect(group, request) }
  }

  private func makeAsterisk(_ pipeline: Pipeline) -> any CallCommands {
    let source = AsteriskSource(config.asterisk, outlet: pipeline, health: health, metrics: metrics)
    self.source = source
    pipeline.onUnexplained = { [unowned source] channel in source.probe(channel) }
    pipeline.onStranded = { [unowned source] channel in source.release(channel) }
    pipeline.onLoss = { [unowned source] in source.reconnect() }
    return AsteriskCommands(source) { [unowned pipeline] group, request in pipeline.expect(group, request) }
  }
}
