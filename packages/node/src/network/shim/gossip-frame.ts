import { RPC } from '@chainsafe/libp2p-gossipsub/message';

/** Longest varint of a frame's length. */
const VARINT_BYTES_MAX = 4;

/** What is left of a gossip frame when its messages are lost. */
export interface Stripped {
  /** Messages that it carried. */
  readonly messages: number;
  /** The frame without them; undefined when nothing else was in it. */
  readonly rest: Uint8Array | undefined;
}

/**
 * Takes the messages out of one gossipsub frame, its varint length included (gossipsub writes frame by frame). Subscriptions and mesh control stay: they are
 * state that gossipsub says once and never again, so losing them would not be a lost message but a broken router, which no network does to a stream.
 * What is no single frame counts as one without messages.
 */
export function stripMessages(frame: Uint8Array): Stripped {
  const bodyAt = frame.subarray(0, VARINT_BYTES_MAX).findIndex((byte) => byte < 0x80) + 1;
  let rpc: RPC;
  try {
    rpc = RPC.decode(frame.subarray(bodyAt));
  } catch {
    return { messages: 0, rest: frame };
  }
  const messages = rpc.messages.length;
  if (messages === 0) return { messages, rest: frame };
  const { control, subscriptions } = rpc;
  const controls = control === undefined ? 0 : control.ihave.length + control.iwant.length + control.graft.length + control.prune.length + control.idontwant.length;
  if (controls === 0 && subscriptions.length === 0) return { messages, rest: undefined };
  return { messages, rest: framed(RPC.encode({ ...rpc, messages: [] })) };
}

function framed(body: Uint8Array): Uint8Array {
  const prefix: number[] = [];
  for (let rest = body.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      prefix.push(rest);
      break;
    }
    prefix.push((rest & 0x7f) | 0x80);
  }
  const out = new Uint8Array(prefix.length + body.length);
  out.set(prefix);
  out.set(body, prefix.length);
  return out;
}
