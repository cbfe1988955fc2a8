import { invariant, Prng } from '@shardlab/crosslink';

import { nodeLabel } from '../network/names.ts';
import type { Clock, Network, NodeName, Storage } from '../ports.ts';
import { type ClockFaults, SimClock } from './clock.ts';
import { type DiskFaults, type DiskLatency, SimDisk } from './disk.ts';
import { Incarnation } from './incarnation.ts';
import type { LatencyModel } from './latency.ts';
import type { NetworkFaults } from './network-faults.ts';
import { SimNetwork } from './network.ts';
import { Scheduler } from './scheduler.ts';
import { SimStorage } from './storage.ts';
import { TraceHash } from './trace-hash.ts';

/** Nodes that one world can hold. */
const NODES_MAX = 4096;

/** One life of a node with the ports that it was given. */
export interface SimNode {
  readonly name: NodeName;
  readonly incarnation: Incarnation;
  readonly clock: Clock;
  readonly network: Network;
  readonly storage: Storage;
}

/** What a world is made from. Equal options, faults and calls give equal runs. */
export interface SimWorldOptions {
  /** Any safe integer. */
  readonly seed: number;
  readonly startMs?: number;
  readonly latency?: LatencyModel;
  readonly diskLatency?: DiskLatency;
  /** Whether all that is done is hashed, so that runs can be compared; true by default. */
  readonly traced?: boolean;
}

/** Who decides what goes wrong; nothing does, by default. */
export interface SimWorldFaults {
  readonly network?: NetworkFaults;
  readonly disk?: (name: NodeName) => DiskFaults;
  readonly clock?: (name: NodeName) => ClockFaults;
}

interface Machine {
  readonly disk: SimDisk;
  lives: number;
  node: SimNode | undefined;
}

/** A set of machines on one simulated network, in one virtual time. It makes the ports; what runs on them is the caller's. */
export class SimWorld {
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  private readonly options: SimWorldOptions;
  private readonly faults: SimWorldFaults;
  private readonly prng: Prng;
  private readonly machines = new Map<string, Machine>();

  constructor(options: SimWorldOptions, faults: SimWorldFaults = {}) {
    this.options = options;
    this.faults = faults;
    this.prng = new Prng(options.seed);
    const trace = new TraceHash(options.traced ?? true).integer(this.prng.u32());
    this.scheduler = new Scheduler(options.startMs === undefined ? {} : { startMs: options.startMs }, { trace });
    this.network = new SimNetwork(options.latency === undefined ? {} : { latency: options.latency }, {
      scheduler: this.scheduler,
      prng: this.prng.fork(),
      ...(faults.network === undefined ? {} : { faults: faults.network }),
    });
  }

  /** Starts a life of `name`, on the disk of its earlier lives. The node must not be running. */
  boot(name: NodeName): SimNode {
    const machine = this.machine(name);
    invariant(machine.node === undefined, 'this node is running already', { node: nodeLabel(name) });
    const { scheduler } = this;
    const incarnation = new Incarnation(`${nodeLabel(name)}#${++machine.lives}`, scheduler);
    const clockFaults = this.faults.clock?.(name);
    scheduler.trace.text('boot').text(incarnation.label);
    machine.node = {
      name,
      incarnation,
      clock: new SimClock(clockFaults === undefined ? {} : { faults: clockFaults }, { scheduler, incarnation }),
      network: this.network.join(name, incarnation),
      storage: new SimStorage({}, { disk: machine.disk, incarnation }),
    };
    return machine.node;
  }

  /** `kill -9`: the node's life ends now. It must be running. */
  crash(name: NodeName): void {
    const machine = this.machine(name);
    invariant(machine.node !== undefined, 'this node is not running', { node: nodeLabel(name) });
    this.scheduler.trace.text('crash').text(machine.node.incarnation.label);
    machine.node.incarnation.kill();
    machine.node = undefined;
  }

  /** The life of `name` that is running. */
  running(name: NodeName): SimNode | undefined {
    return this.machine(name).node;
  }

  /** The disk of `name`, for checkers. */
  disk(name: NodeName): SimDisk {
    return this.machine(name).disk;
  }

  private machine(name: NodeName): Machine {
    const key = nodeLabel(name);
    const known = this.machines.get(key);
    if (known !== undefined) return known;
    invariant(this.machines.size < NODES_MAX, 'too many nodes');
    const { diskLatency } = this.options;
    const faults = this.faults.disk?.(name);
    const disk = new SimDisk(
      { name: key, ...(diskLatency === undefined ? {} : { latency: diskLatency }) },
      { scheduler: this.scheduler, prng: this.prng.fork(), ...(faults === undefined ? {} : { faults }) },
    );
    const machine: Machine = { disk, lives: 0, node: undefined };
    this.machines.set(key, machine);
    return machine;
  }
}
