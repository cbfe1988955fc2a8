// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";

/// OpenZeppelin's ERC-721, minted by anyone. Invariant of the workload: `minted` is the sum of all balances, and each token has one owner.
contract Collectible is ERC721 {
    /// Tokens minted by {mint}, whose ids are 0 to `next` - 1.
    uint256 public next;

    /// Ids from here on are for callers to choose.
    uint256 private constant CHOSEN = 1 << 64;

    error IdIsReserved(uint256 id);

    constructor(string memory name, string memory symbol) ERC721(name, symbol) {}

    /// Mints the next id, as a public drop does: all calls write one slot, so they cannot run in parallel.
    function mint(address to) external returns (uint256 id) {
        id = next++;
        _mint(to, id);
    }

    /// Mints an id of the caller's choice, 2^64 or above: calls for different owners touch different slots.
    function mintChosen(address to, uint256 id) external {
        if (id < CHOSEN) revert IdIsReserved(id);
        _mint(to, id);
    }
}
