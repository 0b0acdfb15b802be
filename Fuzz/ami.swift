// No bytes may trap, and a cut may not change what is read.

private func read(_ pieces: [ArraySlice<UInt8>]) -> String {
  var decoder = AMIDecoder(expectsBanner: false)
  var seen = ""
  do {
    for piece in pieces {
      decoder.feed(Array(piece))
      while try decoder.next() {
        seen += "\(decoder.all)"
        if let observation = decoder.observation(at: Timestamp(microseconds: 0)) { seen += "\(observation)" }
      }
    }
  } catch { seen += "refused \(error)" }
  return seen
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ data: UnsafePointer<UInt8>, _ size: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  let cut = size > 0 ? Int(bytes[0]) * size / 256 : 0
  precondition(read([bytes[...]]) == read([bytes[..<cut], bytes[cut...]]), "a cut changes the meaning")
  return 0
}
