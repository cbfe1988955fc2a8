/** Ids kept at most; the oldest go first, as they would by time. */
const SEEN_MAX = 65_536;

/** Message ids of the last while, as gossipsub's seen cache: what was published again within that time is not delivered again. */
export class SeenCache {
  private readonly lifetimeUs: number;
  private readonly expiries = new Map<string, number>();

  constructor(lifetimeUs: number) {
    this.lifetimeUs = lifetimeUs;
  }

  /** Notes `id`; `false` if it is there already. Its time is not extended then. */
  add(id: string, nowUs: number): boolean {
    this.expire(nowUs);
    if (this.expiries.has(id)) return false;
    this.expiries.set(id, nowUs + this.lifetimeUs);
    return true;
  }

  private expire(nowUs: number): void {
    // All live equally long, so the order of insertion is the order of expiry.
    for (const [id, untilUs] of this.expiries) {
      if (untilUs > nowUs && this.expiries.size < SEEN_MAX) return;
      this.expiries.delete(id);
    }
  }
}
