// The few names of the call model that the decoder speaks of, without the rest of it.

package enum CallEvent {
  package enum RecordingStep: String, Sendable { case started, paused, resumed, completed }
}
