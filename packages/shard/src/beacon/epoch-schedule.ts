/** Whether the beacon block of this height brings the certificate of an epoch: epoch 0 comes with block 1, then one every `epochLength` blocks. */
export function beginsEpoch(height: number, epochLength: number): boolean {
  return height === 1 || height % epochLength === 0;
}
