import type { ShardId } from '@shardlab/crosslink';
import { spreadLoad } from './load.ts';
import { testNetwork } from './network-kit.ts';
import { Scenario } from './scenario.ts';
import { SwitchedFaults } from './faults.ts';
import { nodeLabel } from '../../src/network/names.ts';
const four = await testNetwork({ shards: 2, accounts: 16, validators: 4 });
let worst = 0;
const from = Number(process.argv[2]), to = Number(process.argv[3]);
for (let seed = from; seed < to; seed++) {
  const lines: string[] = [];
  const scenario = new Scenario({ network: four, seed, faults: { network: new SwitchedFaults() }, hooks: { beforeEffect: (name: any, effect: any) => { if (effect.kind === 'log') lines.push(`${scenario.nowMs} ${nodeLabel(name)} ${effect.line.event} ${JSON.stringify(effect.line.fields ?? effect.line)}`); return true; } } });
  let x = seed * 7919; const rnd = (n: number) => { x = (x * 1103515245 + 12345) & 0x7fffffff; return (x >> 8) % n; };
  spreadLoad(scenario, { seed, count: 60, fromMs: 300, toMs: 6_000 + rnd(3) * 20_000 });
  scenario.runFor(1500 + rnd(1000));
  const node = scenario.cluster.shard(0 as ShardId);
  const leader = node.replica.consensus.leader;
  const t1 = scenario.nowMs;
  const second = 3000 + rnd(8000), back = second + 500 + rnd(12000);
  scenario.crash({ chain: 0 as ShardId, validator: leader }, back);
  scenario.runFor(second);
  scenario.crash({ chain: 0 as ShardId, validator: (leader + 1) % 4 }, 120_000);
  scenario.runFor(back - second);
  const alive = [2, 3].map((d) => ({ chain: 0 as ShardId, validator: (leader + d) % 4 }));
  const head = () => Math.max(...alive.map((n) => scenario.cluster.node(n)?.shard?.replica.head.header.height ?? 0));
  const h = head(); const t = scenario.nowMs;
  try { scenario.runUntil(() => head() > h && (scenario.cluster.node({ chain: 0 as ShardId, validator: leader })?.shard?.replica.head.header.height ?? 0) > h, 60_000); } catch (e) { console.log(seed, 'STUCK', String(e).slice(0, 200)); console.log(lines.filter((l) => l.includes('shard-0')).slice(-30).join('\n')); continue; }
  const took = scenario.nowMs - t; if (took > worst) { worst = took; console.log(seed, 'worst', took, 'second', second, 'back', back); }
}
console.log('done', worst);
