import { decodeFake } from '../e2e/load-fake-load.ts';
import { FakeNetwork } from '../e2e/load-fake-network.ts';

/** A fake network in a process of its own, so that a benchmark of the load generator counts the generator's processor time only. */
const network = new FakeNetwork({ shards: Number(process.argv[2]), decode: decodeFake, blockIntervalMs: 250 });
await network.start();
process.send!(network.urls);
process.on('disconnect', () => void network.stop());
