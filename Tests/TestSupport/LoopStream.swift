// `Stream` under a name that Foundation does not share.

package import Loop

package typealias LoopStream = Stream
