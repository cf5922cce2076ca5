//! Vietnamese.

use super::Words;

pub(super) const WORDS: Words = Words {
    info: "Thông tin",
    warning: "Cảnh báo",
    critical: "KHẨN CẤP",
    over: "Đã hết",
    digest: "{n} cảnh báo",
    acknowledge: "Xem và xác nhận",
    more: "và {n} cảnh báo nữa",
};
