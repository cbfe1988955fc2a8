import type { Committee } from './committee.ts';
import type { Heights } from './heights.ts';
import { type NewView, statusPayload } from './messages.ts';
import type { Step } from './step.ts';

/** Answers to others, for each validator of the committee, until a block is final or this validator itself is stuck: bounds what asking can make it say. */
const ANSWERS_PER_VALIDATOR = 4;

/** Who is in another view or has another head, and the help that goes with it: asked for from those ahead, given to those behind. */
export class Neighbours {
  private readonly committee: Committee;
  private readonly heights: Heights;
  private readonly step: Step;
  /** The last view above this validator's own in which each other one was heard. */
  private readonly ahead = new Map<number, number>();
  /** Validators that were heard in a lower view since {@link repeat}. */
  private readonly laggards = new Set<number>();
  private asked = '';
  private answers = 0;

  constructor(committee: Committee, heights: Heights, step: Step) {
    this.committee = committee;
    this.heights = heights;
    this.step = step;
    this.refill();
  }

  /** Something has become final, or nothing has for long: answers may be given anew. */
  refill(): void {
    this.answers = ANSWERS_PER_VALIDATOR * this.committee.size;
  }

  /** A validator has signed something of `view`. */
  heard(validator: number, view: number): void {
    if (view < this.heights.view) this.laggards.add(validator);
    if (view <= this.heights.view) return;
    this.ahead.set(validator, Math.max(view, this.ahead.get(validator) ?? 0));
    this.ask();
  }

  /** Once for each block: f + 1 validators are in a higher view, so there is one, and they can say what brought it. */
  ask(): void {
    const now = `${this.heights.view} ${this.heights.head.height}`;
    if (this.ahead.size <= this.committee.faulty || this.asked === now) return;
    this.asked = now;
    this.sendStatus();
  }

  /** Another view is in force here. */
  entered(view: number): void {
    for (const [validator, theirs] of this.ahead) if (theirs <= view) this.ahead.delete(validator);
  }

  /** Says where this validator stands, and what brought its view if somebody lacks that or its leader has to say it until it bears fruit. */
  repeat(newView: NewView | undefined): void {
    const { committee, heights, laggards } = this;
    this.refill();
    const fruitless = newView?.validator === committee.self && heights.head.height <= heights.base.height + committee.window;
    if (newView !== undefined && (fruitless || laggards.size > 0)) this.step.send(newView);
    laggards.clear();
    this.sendStatus();
  }

  /** Tells a validator that is in a lower view or has a lower head what it has missed. The f + 1 next to it do, so that one correct one does. */
  help(validator: number, view: number, height: number, newView: NewView | undefined): void {
    const { committee, heights } = this;
    const distance = (committee.self - validator + committee.size) % committee.size;
    const lacksHead = height < heights.head.height;
    const lacksView = newView !== undefined && view < heights.view;
    if (distance > committee.faulty + 1 || (!lacksView && !lacksHead) || this.answers === 0) return;
    this.answers--;
    if (lacksView) this.step.send(newView);
    if (lacksHead) this.sendStatus();
  }

  private sendStatus(): void {
    const { committee, heights } = this;
    const payload = statusPayload(heights.view, committee.self, heights.head);
    const signature = committee.sign('status', payload);
    this.step.send({ kind: 'status', view: heights.view, validator: committee.self, head: heights.head, payload, signature });
  }
}
