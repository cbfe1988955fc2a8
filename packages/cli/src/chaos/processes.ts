import { killNodes } from '../cluster/change-cluster.ts';
import { type ClusterNode, readCluster } from '../cluster/cluster-file.ts';
import { type NodeLaunch, signalNode, waitUntilGone } from '../cluster/node-process.ts';
import { findNodeProcess, isNodeProcess, type NodeProcess } from '../cluster/process-identity.ts';
import { badAnswer } from '../output/cli-error.ts';

const KILL_TIMEOUT_MS = 5_000;

/** Signals that nodes get, to the processes of one cluster alone: each is identified by its command line before it is touched, as `kill` does. */
export class ChaosProcesses {
  private readonly dataDir: string;
  private readonly launch: NodeLaunch;
  private readonly waiting = new Map<string, { readonly done: () => void; readonly failed: (error: unknown) => void }[]>();
  private restarting = false;

  constructor(dataDir: string, launch: NodeLaunch) {
    this.dataDir = dataDir;
    this.launch = launch;
  }

  private node(id: string): ClusterNode {
    return readCluster(this.dataDir).nodes.find((node) => node.id === id)!;
  }

  private running(id: string): NodeProcess {
    const node = this.node(id);
    const found = findNodeProcess(node.pid, node.configFile);
    if (found === undefined) throw badAnswer('chaos/not-running', `${id} is not running`);
    return found;
  }

  /** SIGKILL; resolves when the process is gone. Throws `chaos/not-running`. */
  async kill(id: string): Promise<void> {
    const found = this.running(id);
    signalNode(found, 'SIGKILL');
    if ((await waitUntilGone([found], KILL_TIMEOUT_MS)).length > 0) throw badAnswer('chaos/kill', `${id} still runs after SIGKILL: pid ${found.pid}`);
  }

  /** SIGSTOP. Throws `chaos/not-running`. */
  pause(id: string): void {
    stopOrGo(this.running(id), 'SIGSTOP');
  }

  /** SIGCONT, if it runs at all: to a process that is not stopped it does nothing. */
  resume(id: string): void {
    const node = this.node(id);
    const found = findNodeProcess(node.pid, node.configFile);
    if (found !== undefined) stopOrGo(found, 'SIGCONT');
  }

  /** Resumes whatever was stopped, by us or by a run that died. */
  resumeAll(): void {
    for (const { id } of readCluster(this.dataDir).nodes) this.resume(id);
  }

  /**
   * Starts a node that was killed; resolves when it serves. Those that wait at the same time are started together, because each start holds the cluster's lock.
   * A node that was stopped on purpose meanwhile (`down` takes its pid off the record) stays down: throws `chaos/taken-down`.
   */
  restart(id: string): Promise<void> {
    return new Promise((done, failed) => {
      this.waiting.set(id, [...(this.waiting.get(id) ?? []), { done, failed }]);
      if (!this.restarting) void this.restartWaiting();
    });
  }

  private async restartWaiting(): Promise<void> {
    this.restarting = true;
    while (this.waiting.size > 0) {
      const batch = new Map(this.waiting);
      this.waiting.clear();
      const callers = [...batch.values()].flat();
      try {
        await this.start([...batch.keys()]);
        for (const { done } of callers) done();
      } catch (error) {
        for (const { failed } of callers) failed(error);
      }
    }
    this.restarting = false;
  }

  private async start(ids: readonly string[]): Promise<void> {
    const gone = ids.find((id) => this.node(id).pid === null);
    if (gone !== undefined) throw badAnswer('chaos/taken-down', `${gone} was taken down while chaos ran: it stays down`);
    await killNodes({ dataDir: this.dataDir, ids, restart: true, until: 'ready', launch: this.launch });
  }
}

function stopOrGo(node: NodeProcess, signal: 'SIGSTOP' | 'SIGCONT'): void {
  if (!isNodeProcess(node.pid, node.configFile)) return;
  try {
    process.kill(node.pid, signal);
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
