// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// OpenZeppelin's ERC-20. The whole supply is the deployer's until it issues some; nobody makes or burns any later, so that
/// the sum of all balances is `totalSupply` for ever: the invariant of the workload.
contract Token is ERC20 {
    constructor(string memory name, string memory symbol, uint256 supply) ERC20(name, symbol) {
        _mint(msg.sender, supply);
    }

    /// Moves `each` of the caller's tokens to every holder: one transaction funds as many as fit into its gas.
    function issue(address[] calldata holders, uint256 each) external {
        for (uint256 i = 0; i < holders.length; i++) _transfer(msg.sender, holders[i], each);
    }
}
