import type { Approval } from "./messages.js";

/** What a captions notice is about; each stands by itself, and `engine` is where none is named. */
export type CaptionsTopic = "engine" | "journal" | "keeping" | "encryption";

/** What one thing about the captions is at the moment. */
export interface CaptionsNotice {
  readonly type: "captions";
  readonly about?: CaptionsTopic;
  /** Of the engine such as `started`, `stopped`, `interrupted`, `resumed`, `failed`. */
  readonly state: string;
  readonly reason?: string;
  readonly engine?: string;
}

/** Where an approval stands that one is concerned with. */
export interface ApprovalNotice {
  readonly type: "approval";
  readonly id: string;
  readonly state: Approval["state"];
}

/** Facts that an agent tells the room; those that are not read here are left out. */
export type Notice =
  | CaptionsNotice
  | { readonly type: "history"; readonly method: string }
  | {
      readonly type: "hole";
      readonly from: string;
      readonly to: string;
      readonly cause: string;
      readonly speakers: readonly string[];
      readonly reason: string;
    }
  | ApprovalNotice
  | { readonly type: "agent"; readonly agent: string; readonly state: string }
  | { readonly type: "error"; readonly message: string };
