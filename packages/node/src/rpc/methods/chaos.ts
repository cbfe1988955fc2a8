import { ShardlabError } from '@shardlab/crosslink';
import type { FaultSetter } from '../../network/shim/control.ts';
import type { RpcMethod } from '../json-rpc.ts';
import { invalidParams, serverError } from '../rpc-error.ts';

/** Longest token that is looked at, in characters. */
const TOKEN_LENGTH_MAX = 256;

/**
 * `shardlab_setFaults(token, faults)`: puts faults into force between this node and others, until `ttlMs` have passed or others replace them; answers
 * `{links, expiresMs}`. A node without a control token has no such method.
 */
export function chaosMethods(faults: FaultSetter): [string, RpcMethod][] {
  return [
    [
      'shardlab_setFaults',
      (params) => {
        const token = params.atMost(2).text(0, 'the control token of the cluster', TOKEN_LENGTH_MAX);
        try {
          return faults.setFaults(token, params.raw(1));
        } catch (error) {
          if (!(error instanceof ShardlabError)) throw error;
          if (error.code === 'chaos/faults' || error.code === 'latency/model') throw invalidParams(error.message);
          if (error.code === 'chaos/token' || error.code === 'chaos/busy') throw serverError(error.message);
          throw error;
        }
      },
    ],
  ];
}
