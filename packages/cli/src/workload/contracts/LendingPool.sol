// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// Lends one token against another. Suppliers put `asset` in; borrowers lock `collateral` and take up to 75 % of its worth out, for a fee
/// of 0.1 % that stays in the pool. No interest: nothing depends on block time, so a serial and a parallel run of the same calls agree to the wei.
///
/// Invariant of the workload, {solvent}: cash + debts = what suppliers are owed + fees, and the collateral of all borrowers is there.
contract LendingPool {
    using SafeERC20 for IERC20;

    uint256 private constant BPS = 10_000;
    uint256 private constant BORROW_BPS = 7_500;
    uint256 private constant LIQUIDATION_BPS = 8_500;
    uint256 private constant LIQUIDATOR_BONUS_BPS = 500;
    uint256 private constant FEE_BPS = 10;
    uint256 private constant PRICE_ONE = 1e18;

    IERC20 public immutable asset;
    IERC20 public immutable collateral;
    /// The only one who may set the price.
    address public immutable oracle;

    /// Units of asset that one unit of collateral is worth, times 10^18.
    uint256 public price;
    uint256 public totalSupplied;
    uint256 public totalCollateral;
    uint256 public totalDebt;
    uint256 public fees;
    mapping(address supplier => uint256) public supplied;
    mapping(address borrower => uint256) public collateralOf;
    mapping(address borrower => uint256) public debtOf;

    event Supplied(address indexed supplier, uint256 amount);
    event Redeemed(address indexed supplier, uint256 amount);
    event Deposited(address indexed borrower, uint256 amount);
    event Withdrawn(address indexed borrower, uint256 amount);
    event Borrowed(address indexed borrower, uint256 amount, uint256 fee);
    event Repaid(address indexed borrower, uint256 amount);
    event Liquidated(address indexed borrower, address indexed liquidator, uint256 repaid, uint256 seized);

    error NotOracle(address caller);
    error Undercollateralised(uint256 debt, uint256 debtMax);
    error Healthy(address borrower);
    error TooMuch(uint256 asked, uint256 available);

    constructor(IERC20 asset_, IERC20 collateral_, uint256 price_) {
        asset = asset_;
        collateral = collateral_;
        price = price_;
        oracle = msg.sender;
    }

    function setPrice(uint256 price_) external {
        if (msg.sender != oracle) revert NotOracle(msg.sender);
        price = price_;
    }

    function supply(uint256 amount) external {
        supplied[msg.sender] += amount;
        totalSupplied += amount;
        asset.safeTransferFrom(msg.sender, address(this), amount);
        emit Supplied(msg.sender, amount);
    }

    /// Takes supplied asset back, as far as it is not lent.
    function redeem(uint256 amount) external {
        _atMost(amount, supplied[msg.sender]);
        supplied[msg.sender] -= amount;
        totalSupplied -= amount;
        asset.safeTransfer(msg.sender, amount);
        emit Redeemed(msg.sender, amount);
    }

    function deposit(uint256 amount) external {
        collateralOf[msg.sender] += amount;
        totalCollateral += amount;
        collateral.safeTransferFrom(msg.sender, address(this), amount);
        emit Deposited(msg.sender, amount);
    }

    /// Takes collateral back, as far as the debt does not need it.
    function withdraw(uint256 amount) external {
        _atMost(amount, collateralOf[msg.sender]);
        collateralOf[msg.sender] -= amount;
        totalCollateral -= amount;
        _requireCovered(msg.sender);
        collateral.safeTransfer(msg.sender, amount);
        emit Withdrawn(msg.sender, amount);
    }

    /// Borrows `amount`; the debt grows by it and by the fee.
    function borrow(uint256 amount) external {
        uint256 fee = amount * FEE_BPS / BPS;
        debtOf[msg.sender] += amount + fee;
        totalDebt += amount + fee;
        fees += fee;
        _requireCovered(msg.sender);
        asset.safeTransfer(msg.sender, amount);
        emit Borrowed(msg.sender, amount, fee);
    }

    function repay(uint256 amount) external {
        _atMost(amount, debtOf[msg.sender]);
        _repay(msg.sender, amount);
        emit Repaid(msg.sender, amount);
    }

    /// Repays for a borrower whose debt is above 85 % of its collateral's worth, and takes collateral of that worth and 5 % more.
    function liquidate(address borrower, uint256 amount) external {
        uint256 debt = debtOf[borrower];
        if (debt <= _worth(borrower) * LIQUIDATION_BPS / BPS) revert Healthy(borrower);
        _atMost(amount, debt);
        uint256 seized = amount * PRICE_ONE * (BPS + LIQUIDATOR_BONUS_BPS) / BPS / price;
        _atMost(seized, collateralOf[borrower]);
        collateralOf[borrower] -= seized;
        totalCollateral -= seized;
        _repay(borrower, amount);
        collateral.safeTransfer(msg.sender, seized);
        emit Liquidated(borrower, msg.sender, amount, seized);
    }

    /// The invariant. Both sides of the first are equal unless somebody gave tokens to the pool for nothing.
    function solvent() external view returns (bool) {
        return asset.balanceOf(address(this)) + totalDebt >= totalSupplied + fees && collateral.balanceOf(address(this)) >= totalCollateral;
    }

    function _repay(address borrower, uint256 amount) private {
        debtOf[borrower] -= amount;
        totalDebt -= amount;
        asset.safeTransferFrom(msg.sender, address(this), amount);
    }

    function _worth(address borrower) private view returns (uint256) {
        return collateralOf[borrower] * price / PRICE_ONE;
    }

    function _requireCovered(address borrower) private view {
        uint256 debtMax = _worth(borrower) * BORROW_BPS / BPS;
        if (debtOf[borrower] > debtMax) revert Undercollateralised(debtOf[borrower], debtMax);
    }

    function _atMost(uint256 asked, uint256 available) private pure {
        if (asked > available) revert TooMuch(asked, available);
    }
}
