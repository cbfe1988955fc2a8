import { ACCEPT, ascii, equalBytes, ignore, reject, ShardlabError, type Verdict } from '@shardlab/crosslink';
import type { Connection } from '@libp2p/interface';
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr';

import type { Done, Network, NodeName, Sender } from '../ports.ts';
import { AddressBook, type Offered } from './address-book.ts';
import { CommitteeLinks } from './committee-links.ts';
import { Dialler, type DialTarget } from './dialler.ts';
import { Gossip } from './gossip.ts';
import { gossipConfig } from './gossip-config.ts';
import { GossipGate } from './gossip-gate.ts';
import { buildLibp2p, type NetworkLibp2p } from './libp2p.ts';
import { checkTopic, compareNodes, nodeLabel, PEERS_TOPIC, protocolNames, sameNode } from './names.ts';
import { DEFAULT_NETWORK_LIMITS, type NetworkLimits, type NetworkModules, type NetworkOptions } from './options.ts';
import { ADDRESSES_MAX, recordAddress, type SignedPeerRecord } from './peer-record.ts';
import { Penalties } from './penalties.ts';
import { Requests } from './requests.ts';
import { Scores } from './scores.ts';
import { type Session, Sessions } from './sessions.ts';
import { asError, libp2pStreams } from './streams.ts';

/** Open streams of one protocol that we may have on one connection. */
const OUTBOUND_STREAMS_MAX = 128;
/** How often it is checked that gossip has a stream to each node. */
const CHECK_MS = 5_000;

/** The process driver's {@link Network}: libp2p over TCP, gossipsub, and the project's own handshake and request protocols. */
export class Libp2pNetwork implements Network {
  private readonly options: NetworkOptions;
  private readonly limits: NetworkLimits;
  private readonly modules: NetworkModules;
  private readonly book: AddressBook;
  private readonly penalties: Penalties;
  private readonly dialler: Dialler;
  private readonly gate: GossipGate;
  private readonly gossip: Gossip;
  private readonly links: CommitteeLinks;
  private readonly requests: Requests;
  private readonly sessions: Sessions;
  private readonly bootstrapKeys: readonly string[];
  private readonly mute = new Set<Session>();
  /** Labels of the nodes of which the watcher was told that they are gone. */
  private readonly missed = new Set<string>();
  private watcher: Parameters<Network['watch']>[0] | undefined;
  private libp2p: NetworkLibp2p | undefined;
  private state: 'new' | 'starting' | 'running' | 'stopped' = 'new';
  private cancelPersist: (() => void) | undefined;
  private cancelCheck: (() => void) | undefined;

  constructor(options: NetworkOptions, modules: NetworkModules) {
    this.options = options;
    this.modules = modules;
    const limits = { ...DEFAULT_NETWORK_LIMITS, ...options.limits };
    this.limits = limits;
    checkIdentity(options, modules);
    const { clock, crypto, log, metrics } = modules;
    const names = protocolNames(options.genesisHash);
    const ownStreams = libp2pStreams(() => this.running(), OUTBOUND_STREAMS_MAX);
    const streams = modules.wrapStreams?.(ownStreams, { of: (peer) => this.labelOf(peer) }) ?? ownStreams;
    const scores = new Scores(limits);
    this.penalties = new Penalties(scores, { clock, log, metrics });
    this.book = new AddressBook(options, limits.recordsMax, { crypto, metrics });
    if (options.records !== undefined) this.book.load(options.records);
    const seed = new DataView(crypto.sha256(ascii(nodeLabel(options.node))).buffer).getUint32(0);
    this.dialler = new Dialler(limits, seed, clock);
    const shared = { streams, book: this.book, penalties: this.penalties, clock, log, metrics };
    this.sessions = new Sessions(options.node, names, limits, shared, {
      up: (session) => this.sessionUp(session),
      down: (session) => this.sessionDown(session),
      learned: (offered, firstHand) => this.learned(offered, firstHand),
    });
    const proven = (connection: Connection): Promise<Session | undefined> => this.sessions.proven(connection);
    this.gate = new GossipGate({ streams, proven, hooks: (peer) => this.gossip.hooks(peer) }, limits.dialTimeoutMs);
    this.links = new CommitteeLinks(options.node.chain, names.committee, limits, {
      ...{ streams, penalties: this.penalties, clock, log, metrics, proven },
      subscribed: (topic) => this.gossip.subscribed(topic),
      received: (topic, data, session) => this.gossip.received(topic, data, session.peer),
    });
    this.gossip = new Gossip(names.topicPrefix, limits, { ...shared, gate: this.gate, links: this.links, sender: (peer) => this.sender(peer) });
    this.requests = new Requests(names, limits, { ...shared, sessions: this.sessions });
    this.penalties.nameOf = (peer) => this.sessions.byPeer(peer)?.label;
    this.penalties.onBan = (peer) => this.sessions.disconnect(peer);
    this.bootstrapKeys = options.bootstrap.map((address) => `bootstrap ${address}`);
    this.gossip.subscribe(PEERS_TOPIC, (data, _from, verdict) => verdict(this.judgeRecord(data)));
  }

  /** libp2p's id of this node, as text. Throws before {@link start}. */
  get peer(): string {
    return this.running().peerId.toString();
  }

  /** The addresses that this node tells others, with its peer id: what another node may take as `bootstrap`. Throws before {@link start}. */
  get addresses(): readonly string[] {
    const { peer } = this;
    return (this.book.self?.addresses ?? []).map((address) => `${address.toString()}/p2p/${peer}`);
  }

  /** The score of a peer now: 0 or below. */
  score(peer: string): number {
    return this.penalties.score(peer);
  }

  /** The records of all nodes that are known, in their order. */
  records(): readonly SignedPeerRecord[] {
    return this.book.all();
  }

  /** Listens, speaks and dials from now on. Rejects with `network/listen` when an address cannot be listened on; once only. */
  async start(): Promise<void> {
    if (this.state !== 'new') throw new ShardlabError('network/state', 'a network is started once');
    this.state = 'starting';
    const { limits, options } = this;
    const gossip = gossipConfig(options.nodes, limits, this.modules.crypto, (peer) => this.penalties.score(peer));
    const banned = (peer: string): boolean => this.penalties.banned(peer);
    const libp2p = await buildLibp2p({ transportSeed: options.transportSeed, listen: options.listen, limits, gossip, gate: this.gate, banned });
    this.libp2p = libp2p;
    libp2p.addEventListener('connection:open', (event) => this.sessions.opened(event.detail));
    libp2p.addEventListener('connection:close', (event) => this.closed(event.detail));
    await this.sessions.start();
    await this.requests.start();
    await this.links.start();
    try {
      await libp2p.start();
      this.state = 'running';
      this.book.onChange = (record) => this.recordChanged(record);
      this.gossip.start();
      this.publishSelf(0);
    } catch (error) {
      await this.stop();
      this.state = 'stopped';
      if (error instanceof ShardlabError) throw error;
      throw new ShardlabError('network/listen', `cannot listen on ${options.listen.join(', ')}: ${asError(error).message}`, {}, { cause: error });
    }
    this.sessions.announce();
    options.bootstrap.forEach((address, index) => this.dialler.add(this.bootstrapTarget(this.bootstrapKeys[index]!, address)));
    for (const record of this.book.all()) this.keepConnected(record);
    this.check();
    this.modules.log.info({ event: 'network.listening', peer: this.peer, addresses: this.addresses }, 'network listens');
  }

  /** Disconnects and frees everything; open requests fail with `network/unreachable`. Records not persisted yet are. */
  async stop(): Promise<void> {
    const { libp2p, state } = this;
    this.state = 'stopped';
    if (libp2p === undefined || state !== 'running') return;
    this.cancelCheck?.();
    this.dialler.stop();
    this.requests.stop();
    this.links.stop();
    this.gossip.stop();
    this.sessions.stop();
    if (this.cancelPersist !== undefined) this.persist();
    await libp2p.stop();
  }

  publish(topic: string, data: Uint8Array): void {
    checkTopic(topic);
    this.gossip.publish(topic, data);
  }

  subscribe(topic: string, judge: Parameters<Network['subscribe']>[1]): void {
    checkTopic(topic);
    this.gossip.subscribe(topic, judge);
  }

  request(to: NodeName, body: Uint8Array, timeoutMs: number, done: Done<Uint8Array>): void {
    this.requests.request(to, body, timeoutMs, done);
  }

  serve(handler: Parameters<Network['serve']>[0]): void {
    this.requests.serve(handler);
  }

  penalise(peer: string | NodeName, reason: string): void {
    const id = typeof peer === 'string' ? peer : this.sessions.byNode(nodeLabel(peer))?.peer;
    if (id !== undefined) this.penalties.penalise(id, reason);
  }

  connected(): readonly NodeName[] {
    return this.sessions.nodes();
  }

  watch(listener: Parameters<Network['watch']>[0]): void {
    this.watcher = listener;
  }

  private running(): NetworkLibp2p {
    if (this.libp2p === undefined) throw new ShardlabError('network/state', 'the network was not started');
    return this.libp2p;
  }

  private sender(peer: string): Sender {
    return { peer, node: this.sessions.byPeer(peer)?.node };
  }

  /** Sessions know who has proven to be whom; on a connection that is being made the records say who it should be. */
  private labelOf(peer: string): string | undefined {
    const known = this.sessions.byPeer(peer)?.node ?? this.book.all().find((record) => record.peer === peer)?.node;
    return known === undefined ? undefined : nodeLabel(known);
  }

  private publishSelf(sequenceMin: number): void {
    const { clock } = this.modules;
    const announced = this.options.announce.length > 0 ? this.options.announce : this.running().getMultiaddrs().map(String);
    const addresses = uniqueAddresses(announced);
    const transportKey = this.running().peerId.publicKey!.raw;
    this.book.publishSelf({ transportKey, addresses }, Math.max(clock.nowMs(), sequenceMin));
  }

  private learned(offered: Offered, firstHand: boolean): void {
    if (offered.outcome !== 'new') return;
    const { record } = offered;
    if (sameNode(record.node, this.options.node)) this.learnedOfSelf(record);
    // Others may not be able to reach the node, or it them: all should know where it is.
    else if (firstHand) this.gossip.publish(PEERS_TOPIC, record.encoded);
  }

  /** Others know a newer record of this node: made before our disk was lost and the clock set back, or by a twin. */
  private learnedOfSelf(record: SignedPeerRecord): void {
    if (this.state === 'running' && record.peer === this.peer) this.publishSelf(record.sequence + 1);
    else {
      this.modules.log.warn(
        { event: 'network.twin', peer: record.peer, addresses: record.addresses.map(String) },
        'another process speaks as this node, with a newer record',
      );
    }
  }

  private judgeRecord(data: Uint8Array): Verdict {
    const offered = this.book.offer(data);
    this.learned(offered, false);
    return verdictOf(offered);
  }

  private recordChanged(record: SignedPeerRecord): void {
    this.cancelPersist ??= this.modules.clock.schedule(this.limits.recordsDelayMs, () => this.persist());
    if (this.state !== 'running') return;
    if (sameNode(record.node, this.options.node)) this.gossip.publish(PEERS_TOPIC, record.encoded);
    else this.keepConnected(record);
  }

  private persist(): void {
    this.cancelPersist?.();
    this.cancelPersist = undefined;
    this.options.onRecords(this.book.encodeAll());
  }

  private keepConnected(record: SignedPeerRecord): void {
    if (sameNode(record.node, this.options.node)) return;
    const label = nodeLabel(record.node);
    this.dialler.add({
      key: label,
      yieldMs: compareNodes(this.options.node, record.node) < 0 ? 0 : this.limits.dialYieldMs,
      connected: () => this.sessions.byNode(label) !== undefined,
      notBeforeMs: () => Math.max(this.penalties.bannedUntilMs(label), this.penalties.bannedUntilMs(record.peer)),
      dial: async () => (await this.dial(record.addresses.map((address) => address.encapsulate(`/p2p/${record.peer}`)))) !== undefined,
    });
  }

  private bootstrapTarget(key: string, text: string): DialTarget {
    const address = multiaddr(text);
    let reached: string | undefined;
    return {
      key,
      yieldMs: 0,
      connected: () => reached !== undefined && this.sessions.byNode(reached) !== undefined,
      notBeforeMs: () => (reached === undefined ? 0 : this.penalties.bannedUntilMs(reached)),
      dial: async () => {
        try {
          reached = (await this.dial([address]))?.label;
          return reached !== undefined;
        } catch (error) {
          // The beacon may be told to bootstrap from itself, as all others are.
          if (asError(error).name === 'InvalidPeerIdError') return 'never';
          throw error;
        }
      },
    };
  }

  private async dial(addresses: Multiaddr[]): Promise<Session | undefined> {
    let outcome = 'failed';
    try {
      const connection = await this.running().dial(addresses, { signal: AbortSignal.timeout(this.limits.dialTimeoutMs) });
      const session = await this.sessions.proven(connection);
      outcome = session === undefined ? 'unproven' : 'proven';
      return session;
    } catch (error) {
      this.modules.log.debug({ event: 'network.dial_failed', addresses: addresses.map(String), error: asError(error).message }, 'dial failed');
      throw error;
    } finally {
      this.modules.metrics.count('shardlab_network_dials_total', { outcome });
    }
  }

  private sessionUp(session: Session): void {
    this.gate.open(session);
    this.links.open(session);
    if (this.missed.delete(session.label)) this.tell(session, true);
  }

  /** After the call that has ended a session: the watcher may have made it. */
  private tell({ node }: Session, connected: boolean): void {
    queueMicrotask(() => {
      if (this.state === 'running') this.watcher?.(node, connected);
    });
  }

  private sessionDown(session: Session): void {
    this.mute.delete(session);
    this.gate.close(session);
    this.links.close(session);
    this.requests.disconnected(session.peer);
    this.dialler.lost(session.label);
    for (const key of this.bootstrapKeys) this.dialler.lost(key);
    if (this.watcher === undefined) return;
    this.missed.add(session.label);
    this.tell(session, false);
  }

  private closed(connection: Connection): void {
    this.sessions.closed(connection);
    if (this.state !== 'running' || this.sessions.byPeer(connection.remotePeer.toString()) !== undefined) return;
    // libp2p remembers each peer that ever connected for hours; the address book knows the ones that matter.
    this.running()
      .peerStore.delete(connection.remotePeer)
      .catch((error: unknown) => this.modules.log.debug({ event: 'network.forget_failed', error: asError(error).message }, 'peer not forgotten'));
  }

  /** gossipsub tries once to open a stream to a node, and says nothing when that fails: such a node is disconnected, and dialled anew. */
  private check(): void {
    this.cancelCheck = this.modules.clock.schedule(CHECK_MS, () => {
      for (const session of [...this.sessions.all()]) {
        if (this.gate.speaksTo(session)) this.mute.delete(session);
        else if (!this.mute.has(session)) this.mute.add(session);
        else this.sessions.disconnect(session.peer);
      }
      this.check();
    });
  }
}

/** Builds the network of one node; nothing happens before its `start`. Throws `network/identity`, `network/address`, `network/records`. */
export function createLibp2pNetwork(options: NetworkOptions, modules: NetworkModules): Libp2pNetwork {
  return new Libp2pNetwork(options, modules);
}

function checkIdentity(options: NetworkOptions, { crypto }: NetworkModules): void {
  const node = nodeLabel(options.node);
  const key = options.validatorKey(options.node);
  if (key === undefined) throw new ShardlabError('network/identity', `genesis names no validator ${node}`, { node });
  if (!equalBytes(key, crypto.publicKey(options.validatorSecret))) {
    throw new ShardlabError('network/identity', `the validator key is not the one that genesis names for ${node}`, { node });
  }
  if (options.transportSeed.length !== 32) throw new ShardlabError('network/identity', 'the seed of the transport key has 32 bytes', { node });
  for (const address of options.announce) recordAddress(address);
  for (const address of options.bootstrap) recordAddress(address);
}

function uniqueAddresses(texts: readonly string[]): Multiaddr[] {
  const addresses = new Map<string, Multiaddr>();
  for (const text of texts) {
    const address = recordAddress(text);
    addresses.set(address.toString(), address);
  }
  if (addresses.size === 0) throw new ShardlabError('network/listen', 'there is no address that others could reach this node at');
  return [...addresses.values()].slice(0, ADDRESSES_MAX);
}

function verdictOf({ outcome }: Offered): Verdict {
  switch (outcome) {
    case 'new':
      return ACCEPT;
    case 'known':
    case 'stale':
    case 'full':
      return ignore(`record_${outcome}`);
    case 'foreign':
    case 'unknown':
    case 'forged':
    case 'malformed':
      return reject(`record_${outcome}`);
  }
}
