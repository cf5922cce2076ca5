//! Golden sentences: one of each kind in each language. Read them aloud before changing one.

use super::*;

fn rule(rest: &str) -> Rule {
    serde_json::from_str(&format!(r#"{{"id":"r",{rest}}}"#)).unwrap()
}

fn says(rest: &str, vi: &str, en: &str) {
    let rule = rule(rest);
    assert_eq!(rule.sentence(Lang::Vi), vi);
    assert_eq!(rule.sentence(Lang::En), en);
}

#[test]
fn above() {
    says(
        r#""level":"critical","over":{"plot":"ruong-3"},"channel":"salinity",
           "when":{"above":{"value":4,"clears_at":3.5}},"for_s":1800,"clear_for_s":3600"#,
        "Báo nguy hiểm khi độ mặn ở thửa ruong-3 vượt 4 ‰ liên tục ít nhất 30 phút; hết cảnh báo khi còn 3,5 ‰ trở xuống được 1 giờ.",
        "Critical alarm when salinity on plot ruong-3 is above 4 ‰ for at least 30 minutes; it ends after 1 hour at 3.5 ‰ or below.",
    );
    says(
        r#""level":"info","over":"all","channel":"air_temperature","when":{"above":{"value":35}}"#,
        "Báo tin khi nhiệt độ không khí ở bất kỳ đâu vượt 35 °C.",
        "Notice when air temperature anywhere is above 35 °C.",
    );
}

#[test]
fn below() {
    says(
        r#""level":"critical","over":{"farm":"hoa"},"channel":"dissolved_oxygen",
           "when":{"below":{"value":3,"clears_at":3.5}},"for_s":2700,"active":{"hours":{"from":"00:00","to":"07:00"}}"#,
        "Báo nguy hiểm khi oxy hòa tan ở nông trại hoa xuống dưới 3 mg/L liên tục ít nhất 45 phút, chỉ từ 00:00 đến 07:00; hết cảnh báo khi đạt 3,5 mg/L trở lên.",
        "Critical alarm when dissolved oxygen on farm hoa is below 3 mg/L for at least 45 minutes, only from 00:00 to 07:00; it ends at 3.5 mg/L or above.",
    );
    says(
        r#""level":"warning","over":{"group":"htx"},"channel":"battery_voltage","when":{"below":{"value":3.3,"clears_at":3.6}},"clear_for_s":5400"#,
        "Báo chú ý khi điện áp pin trong nhóm htx xuống dưới 3,3 V; hết cảnh báo khi đạt 3,6 V trở lên được 1 giờ 30 phút.",
        "Warning when battery voltage in group htx is below 3.3 V; it ends after 1 hour 30 minutes at 3.6 V or above.",
    );
}

#[test]
fn outside() {
    says(
        r#""level":"warning","over":{"plot":"ao-1"},"channel":"ph_2","when":{"outside":{"low":7.8,"high":8.2}},"clear_for_s":600"#,
        "Báo chú ý khi độ pH 2 ở thửa ao-1 xuống dưới 7,8 hoặc vượt 8,2; hết cảnh báo khi bình thường trở lại được 10 phút.",
        "Warning when pH 2 on plot ao-1 is below 7.8 or above 8.2; it ends after 10 minutes without it.",
    );
    says(
        r#""level":"warning","over":{"plot":"ao-1"},"channel":"water_temperature","when":{"outside":{"low":28,"high":32,"hysteresis":0.5}}"#,
        "Báo chú ý khi nhiệt độ nước ở thửa ao-1 xuống dưới 28 °C hoặc vượt 32 °C; hết cảnh báo khi trở lại khoảng 28,5 °C đến 31,5 °C.",
        "Warning when water temperature on plot ao-1 is below 28 °C or above 32 °C; it ends between 28.5 °C and 31.5 °C.",
    );
    says(
        r#""level":"warning","over":{"plot":"ao-1"},"channel":"water_temperature","when":{"outside":{"low":28,"high":32,"hysteresis":0.5}},"clear_for_s":60"#,
        "Báo chú ý khi nhiệt độ nước ở thửa ao-1 xuống dưới 28 °C hoặc vượt 32 °C; hết cảnh báo khi trở lại khoảng 28,5 °C đến 31,5 °C được 1 phút.",
        "Warning when water temperature on plot ao-1 is below 28 °C or above 32 °C; it ends after 1 minute between 28.5 °C and 31.5 °C.",
    );
}

#[test]
fn rises_and_falls() {
    says(
        r#""level":"warning","over":{"node":"cong-2"},"channel":"water_level","when":{"rises":{"by":20,"within_s":7200}},
           "active":{"season":{"from":"2026-08-01","to":"2026-11-30"}}"#,
        "Báo chú ý khi mực nước tại nút đo cong-2 tăng từ 20 cm trở lên trong vòng 2 giờ, chỉ từ ngày 01/08/2026 đến ngày 30/11/2026.",
        "Warning when water level at node cong-2 rises by 20 cm or more within 2 hours, only from 2026-08-01 to 2026-11-30.",
    );
    says(
        r#""level":"warning","over":{"node":"ao-2"},"channel":"water_temperature","when":{"falls":{"by":3,"within_s":86400}}"#,
        "Báo chú ý khi nhiệt độ nước tại nút đo ao-2 giảm từ 3 °C trở lên trong vòng 1 ngày.",
        "Warning when water temperature at node ao-2 falls by 3 °C or more within 1 day.",
    );
}

#[test]
fn swings() {
    says(
        r#""level":"warning","over":{"plot":"ao-1"},"channel":"ph","when":{"swings":{"by":0.5}}"#,
        "Báo chú ý khi độ pH ở thửa ao-1 dao động từ 0,5 trở lên trong một ngày.",
        "Warning when pH on plot ao-1 swings by 0.5 or more within one day.",
    );
}

#[test]
fn faults() {
    says(
        r#""level":"warning","over":{"plot":"ao-1"},"channel":"dissolved_oxygen","when":"fault","for_s":3600"#,
        "Báo chú ý khi cảm biến oxy hòa tan ở thửa ao-1 báo lỗi hoặc cho số đo bất thường liên tục ít nhất 1 giờ.",
        "Warning when the dissolved oxygen probe on plot ao-1 reports a fault or values that can't be right for at least 1 hour.",
    );
    says(
        r#""level":"warning","over":{"farm":"hoa"},"when":"fault""#,
        "Báo chú ý khi một cảm biến của một nút đo ở nông trại hoa báo lỗi hoặc cho số đo bất thường.",
        "Warning when a probe of a node on farm hoa reports a fault or values that can't be right.",
    );
}

#[test]
fn silence() {
    says(
        r#""level":"warning","over":{"farm":"hoa"},"when":{"silent":{"after_s":7200}}"#,
        "Báo chú ý khi một nút đo ở nông trại hoa mất kết nối trong 2 giờ.",
        "Warning when a node on farm hoa has been offline for 2 hours.",
    );
    says(
        r#""level":"warning","over":{"node":"ao-2"},"when":{"silent":{"after_s":7200}}"#,
        "Báo chú ý khi nút đo ao-2 mất kết nối trong 2 giờ.",
        "Warning when node ao-2 has been offline for 2 hours.",
    );
    says(
        r#""level":"info","over":"all","channel":"rain","when":{"silent":{"after_s":86400}}"#,
        "Báo tin khi một nút đo bất kỳ đang kết nối nhưng không có dữ liệu lượng mưa trong 1 ngày.",
        "Notice when any node is online but has sent no rain for 1 day.",
    );
}

#[test]
fn stages_with_a_name_and_without() {
    says(
        r#""level":"critical","over":{"plot":"ruong-3"},"channel":"water_level","when":{"below":{"value":0}},
           "active":{"stage":{"name":"flowering","from_day":58,"to_day":72}}"#,
        "Báo nguy hiểm khi mực nước ở thửa ruong-3 xuống dưới 0 cm, chỉ trong giai đoạn trổ bông (ngày 58 đến 72 của vụ).",
        "Critical alarm when water level on plot ruong-3 is below 0 cm, only during flowering (day 58 to 72 of the crop).",
    );
    says(
        r#""level":"info","over":{"plot":"ruong-3"},"channel":"light","when":{"above":{"value":100000}},
           "active":{"stage":{"from_day":0,"to_day":10}}"#,
        "Báo tin khi cường độ ánh sáng ở thửa ruong-3 vượt 100.000 lux, chỉ từ ngày 0 đến ngày 10 của vụ.",
        "Notice when light on plot ruong-3 is above 100,000 lux, only on day 0 to 10 of the crop.",
    );
}

#[test]
fn a_unit_is_shown_as_it_was_set_and_a_place_by_its_name() {
    let rule = rule(
        r#""level":"warning","over":{"plot":"ruong-3"},"channel":"conductivity","unit":"dS/m","when":{"above":{"value":1.9}}"#,
    );
    assert_eq!(
        rule.sentence_at(Lang::Vi, "Ruộng sau nhà"),
        "Báo chú ý khi độ dẫn điện ở thửa Ruộng sau nhà vượt 1,9 dS/m."
    );
}
