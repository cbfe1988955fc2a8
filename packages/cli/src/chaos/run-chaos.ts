import { appendFileSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Cluster, readCluster } from '../cluster/cluster-file.ts';
import { readControlToken } from '../cluster/control-token.ts';
import { withClusterLock } from '../cluster/lock.ts';
import type { NodeLaunch } from '../cluster/node-process.ts';
import { isNodeProcess } from '../cluster/process-identity.ts';
import { pause } from '../cluster/wait.ts';
import { usageError } from '../output/cli-error.ts';
import { FaultPlane } from './fault-plane.ts';
import { ChaosProcesses } from './processes.ts';
import { type ChaosEvent, type ChaosKind, type ChaosNode, type ChaosOptions, chaosSchedule, faultsBorne } from './schedule.ts';

/** How often an event that found no room looks again. */
const ROOM_INTERVAL_MS = 100;
/** Errors that a report keeps. */
const ERRORS_MAX = 100;

/** What {@link runChaos} is asked for. */
export interface ChaosRequest extends ChaosOptions {
  readonly dataDir: string;
  readonly launch: NodeLaunch;
}

/** One thing that happened, as it is logged. */
export interface ChaosLine {
  readonly event: 'chaos.started' | 'chaos.scheduled' | 'chaos.begun' | 'chaos.ended' | 'chaos.skipped' | 'chaos.failed' | 'chaos.healed';
  readonly [field: string]: unknown;
}

/** What chaos uses and tells. */
export interface ChaosModules {
  readonly signal: AbortSignal;
  onLine(line: ChaosLine): void;
}

/** How a run went. */
export interface ChaosReport {
  /** Every fault was applied, and ended, and everything was healed. */
  readonly ok: boolean;
  readonly seed: number;
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Partial<Record<ChaosKind, number>>>;
  readonly planned: number;
  /** Faults left out because nodes took longer to come back than planned, and one more would have been too many. */
  readonly skipped: number;
  readonly errors: readonly string[];
  readonly seconds: number;
  readonly logFile: string;
}

/** The nodes of a cluster with their committees. */
export function chaosNodes(cluster: Cluster): ChaosNode[] {
  return cluster.nodes.map(({ id, role, shard }) => ({ id, chain: role === 'beacon' ? 'beacon' : `shard-${shard}` }));
}

/** One run: plays a schedule, and heals whatever happens. */
class ChaosRun {
  private readonly request: ChaosRequest;
  private readonly modules: ChaosModules;
  private readonly nodes: readonly ChaosNode[];
  private readonly processes: ChaosProcesses;
  private readonly plane: FaultPlane;
  private readonly events: readonly ChaosEvent[];
  private readonly logFile: string;
  private readonly startedMs = performance.now();
  /** Nodes that are killed, paused or cut off now. */
  private readonly disturbed = new Set<string>();
  /** Killed and not yet back. */
  private readonly killed = new Set<string>();
  private readonly faults: Partial<Record<ChaosKind, number>> = {};
  private readonly errors: string[] = [];
  private skipped = 0;

  constructor(request: ChaosRequest, modules: ChaosModules, token: string) {
    this.request = request;
    this.modules = modules;
    const { dataDir, launch, seed } = request;
    this.nodes = chaosNodes(readCluster(dataDir));
    this.events = chaosSchedule(request, this.nodes);
    this.processes = new ChaosProcesses(dataDir, launch);
    const session = `${process.pid}-${Date.now()}`;
    const nodes = this.nodes.map(({ id }) => id);
    this.plane = new FaultPlane({ dataDir, token, session, seed, nodes }, (node, error) => this.failed(`${node} could not be told its faults`, error));
    const directory = chaosDirectory(dataDir);
    mkdirSync(directory, { recursive: true });
    this.logFile = join(directory, `${session}.ndjson`);
  }

  async run(): Promise<ChaosReport> {
    const { seed, durationMs } = this.request;
    this.log({ event: 'chaos.started', seed, durationMs, planned: this.events.length, logFile: this.logFile });
    for (const { parameters, ...each } of this.events) this.log({ event: 'chaos.scheduled', ...each, ...parameters });
    try {
      this.processes.resumeAll();
      await this.plane.open();
      await Promise.all(this.events.map((event) => this.play(event)));
      await this.until(durationMs);
    } finally {
      await this.heal();
    }
    const seconds = Math.round((performance.now() - this.startedMs) / 100) / 10;
    const { errors, faults, skipped, logFile } = this;
    return { ok: errors.length === 0, seed, faults, planned: this.events.length, skipped, errors, seconds, logFile };
  }

  private nowMs(): number {
    return performance.now() - this.startedMs;
  }

  /** Waits for a moment of the run, or for its end by the signal. */
  private until(atMs: number): Promise<void> {
    return pause(Math.max(0, atMs - this.nowMs()), this.modules.signal);
  }

  private log(line: ChaosLine): void {
    appendFileSync(this.logFile, `${JSON.stringify({ time: Date.now(), ...line })}\n`);
    this.modules.onLine(line);
  }

  private failed(what: string, error: unknown): void {
    const text = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    if (this.errors.length < ERRORS_MAX) this.errors.push(text);
    this.log({ event: 'chaos.failed', error: text });
  }

  private async play(event: ChaosEvent): Promise<void> {
    const { signal } = this.modules;
    const { kind, nodes, atMs, untilMs, parameters } = event;
    await this.until(atMs);
    const strikes = kind === 'kill' || kind === 'pause' || kind === 'partition';
    if (strikes && !(await this.room(nodes))) {
      if (signal.aborted) return;
      this.skipped++;
      this.log({ event: 'chaos.skipped', kind, nodes });
      return;
    }
    if (signal.aborted) return;
    if (strikes) for (const node of nodes) this.disturbed.add(node);
    try {
      this.log({ event: 'chaos.begun', kind, nodes, ...parameters });
      await this.begin(event);
      this.faults[kind] = (this.faults[kind] ?? 0) + 1;
      // Begun late, it ends late, but never after the run.
      await this.until(Math.min(this.request.durationMs, Math.max(untilMs, this.nowMs() + (untilMs - atMs))));
      await this.end(event);
      this.log({ event: 'chaos.ended', kind, nodes });
    } catch (error) {
      this.failed(`${kind} of ${nodes.join(', ')}`, error);
    } finally {
      if (strikes) for (const node of nodes) this.disturbed.delete(node);
    }
  }

  /** Waits until `nodes` can be disturbed without being too many: what the schedule promised may take longer in truth. False: never within the run. */
  private async room(nodes: readonly string[]): Promise<boolean> {
    while (!this.hasRoom(nodes)) {
      if (this.modules.signal.aborted || this.nowMs() >= this.request.durationMs) return false;
      await pause(ROOM_INTERVAL_MS, this.modules.signal);
    }
    return !this.modules.signal.aborted;
  }

  private hasRoom(nodes: readonly string[]): boolean {
    if (nodes.some((node) => this.disturbed.has(node))) return false;
    if (this.request.beyondF === true) return true;
    const struck = new Set([...nodes, ...this.disturbed]);
    const chains = new Map<string, { size: number; struck: number }>();
    for (const { id, chain } of this.nodes) {
      const count = chains.get(chain) ?? { size: 0, struck: 0 };
      chains.set(chain, { size: count.size + 1, struck: count.struck + (struck.has(id) ? 1 : 0) });
    }
    return [...chains.values()].every((count) => count.struck <= faultsBorne(count.size));
  }

  private async begin(event: ChaosEvent): Promise<void> {
    if (event.kind !== 'kill' && event.kind !== 'pause') return this.plane.add(event);
    for (const node of event.nodes) {
      this.plane.leave(node);
      if (event.kind === 'pause') this.processes.pause(node);
      else {
        this.killed.add(node);
        await this.processes.kill(node);
      }
    }
  }

  private async end(event: ChaosEvent): Promise<void> {
    if (event.kind !== 'kill' && event.kind !== 'pause') return this.plane.remove(event);
    for (const node of event.nodes) {
      if (event.kind === 'pause') this.processes.resume(node);
      else {
        await this.processes.restart(node);
        this.killed.delete(node);
      }
      await this.plane.join(node);
    }
  }

  /** Everything runs again and nothing is in the way, whatever happened before. Errors are in the report: here nobody is left to catch them. */
  private async heal(): Promise<void> {
    try {
      this.processes.resumeAll();
    } catch (error) {
      this.failed('nodes could not be resumed', error);
    }
    try {
      const running = readCluster(this.request.dataDir).nodes.filter((node) => isNodeProcess(node.pid, node.configFile));
      const left = await this.plane.clear(running.map(({ id }) => id));
      if (left.length > 0) this.failed('faults', new Error(`${left.join(', ')} did not confirm to be healed; what was set there expires by itself`));
    } catch (error) {
      this.failed('faults could not be cleared', error);
    }
    await Promise.all(
      [...this.killed].map(async (node) => {
        try {
          await this.processes.restart(node);
        } catch (error) {
          this.failed(`${node} could not be started again`, error);
        }
      }),
    );
    this.log({ event: 'chaos.healed', errors: this.errors.length });
  }
}

/** Where a cluster keeps the logs of its chaos runs. */
function chaosDirectory(dataDir: string): string {
  return join(resolve(dataDir), 'chaos');
}

/**
 * Runs faults drawn from a seed against the running cluster at `dataDir`, and heals everything at the end, also when the signal ends it early (that is no error
 * here). Throws `cluster/absent`, `cluster/not-running`, `cluster/locked` while another run goes on, `chaos/nothing`, `chaos/beyond-f`,
 * `chaos/too-many`, `chaos/refused`: all before the first fault.
 */
export async function runChaos(request: ChaosRequest, modules: ChaosModules): Promise<ChaosReport> {
  const { dataDir } = request;
  const down = readCluster(dataDir).nodes.filter((node) => !isNodeProcess(node.pid, node.configFile));
  if (down.length > 0) {
    throw usageError('cluster/not-running', `${down.map(({ id }) => id).join(', ')} ${down.length === 1 ? 'is' : 'are'} not running: chaos wants a whole cluster, "shardlab up" starts it`);
  }
  const token = readControlToken(dataDir);
  if (token === undefined) throw usageError('chaos/refused', 'this cluster has no control token: "shardlab down" and "shardlab up" give it one');
  // One at a time: two would count each other's victims as healthy.
  return withClusterLock(chaosDirectory(dataDir), () => new ChaosRun(request, modules, token).run(), 0);
}
