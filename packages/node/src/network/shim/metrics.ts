/** What the fault shim counts; label values come from small fixed sets. */
export const SHIM_METRICS = {
  shardlab_chaos_faulted_links: { kind: 'gauge', help: 'Links to other nodes on which faults are in force', labels: [] },
  shardlab_chaos_faults_total: { kind: 'counter', help: 'Faults set on links, by kind (cut, delay, loss, bandwidth)', labels: ['kind'] },
  shardlab_chaos_messages_total: {
    kind: 'counter',
    help: 'Messages sent on faulted links, by kind (gossip, committee, request, hello) and what became of them (passed, held, lost)',
    labels: ['kind', 'outcome'],
  },
  shardlab_chaos_controls_total: { kind: 'counter', help: 'Calls of shardlab_setFaults, by outcome', labels: ['outcome'] },
} as const satisfies Readonly<Record<string, { readonly kind: 'gauge' | 'counter'; readonly help: string; readonly labels: readonly string[] }>>;
