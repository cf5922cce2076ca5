//! Tiếng Việt.

use sen_wire::Quantity;

use super::{End, TimeUnit, Words};
use crate::check::Problem;
use crate::rule::{Condition, Level, Over};

pub(super) struct Vietnamese;

impl Words for Vietnamese {
    fn separators(&self) -> (char, char) {
        (',', '.')
    }

    fn date(&self) -> &'static str {
        "%d/%m/%Y"
    }

    fn time(&self, count: u32, unit: TimeUnit) -> String {
        let unit = match unit {
            TimeUnit::Day => "ngày",
            TimeUnit::Hour => "giờ",
            TimeUnit::Minute => "phút",
            TimeUnit::Second => "giây",
        };
        format!("{count} {unit}")
    }

    fn quantity(&self, quantity: Quantity) -> &'static str {
        match quantity {
            Quantity::AirTemperature => "nhiệt độ không khí",
            Quantity::AirHumidity => "độ ẩm không khí",
            Quantity::AirPressure => "áp suất không khí",
            Quantity::Light => "cường độ ánh sáng",
            Quantity::Par => "ánh sáng quang hợp",
            Quantity::Radiation => "bức xạ mặt trời",
            Quantity::Rain => "lượng mưa",
            Quantity::WindSpeed => "tốc độ gió",
            Quantity::WindGust => "gió giật",
            Quantity::WindDirection => "hướng gió",
            Quantity::SoilMoisture => "độ ẩm đất",
            Quantity::SoilTemperature => "nhiệt độ đất",
            Quantity::SoilConductivity => "độ dẫn điện đất",
            Quantity::WaterTemperature => "nhiệt độ nước",
            Quantity::Conductivity => "độ dẫn điện",
            Quantity::Salinity => "độ mặn",
            Quantity::DissolvedOxygen => "oxy hòa tan",
            Quantity::OxygenSaturation => "độ bão hòa oxy",
            Quantity::WaterLevel => "mực nước",
            Quantity::Ph => "độ pH",
            Quantity::Alkalinity => "độ kiềm",
            Quantity::Ammonia => "amoniac (NH₃)",
            Quantity::Turbidity => "độ đục",
            Quantity::LeafWetness => "độ ướt lá",
            Quantity::BatteryVoltage => "điện áp pin",
            Quantity::Co2 => "khí CO₂",
            Quantity::VapourPressureDeficit => "độ hụt áp suất hơi",
            Quantity::DewPoint => "điểm sương",
            Quantity::LeafTemperature => "nhiệt độ lá",
            Quantity::AbsoluteHumidity => "độ ẩm tuyệt đối",
            Quantity::HumidityDeficit => "độ hụt ẩm",
            Quantity::SoilNitrogen => "đạm trong đất (N)",
            Quantity::SoilPhosphorus => "lân trong đất (P)",
            Quantity::SoilPotassium => "kali trong đất (K)",
        }
    }

    fn stage(&self, id: &str) -> Option<&'static str> {
        Some(match id {
            "seedling" => "mạ",
            "tillering" => "đẻ nhánh",
            "panicle_initiation" => "làm đòng",
            "booting" => "đòng trổ",
            "flowering" => "trổ bông",
            "ripening" => "chín",
            "awd" => "tưới ngập khô xen kẽ",
            "sensitive" => "mẫn cảm với mặn",
            "heat" => "làm đòng và trổ bông",
            _ => return None,
        })
    }

    fn preset(&self, id: &str) -> Option<&'static str> {
        Some(match id {
            "rice" => "Lúa",
            "whiteleg_shrimp" => "Tôm thẻ chân trắng",
            "black_tiger_shrimp" => "Tôm sú",
            "pangasius" => "Cá tra",
            "fish" => "Cá ao nuôi khác",
            "durian" => "Sầu riêng",
            "rambutan" => "Chôm chôm",
            "citrus" => "Cây có múi, ổi, vú sữa",
            "mango" => "Xoài",
            "dragon_fruit" => "Thanh long",
            "devices" => "Thiết bị",
            _ => return None,
        })
    }

    fn sentence(&self) -> &'static str {
        "{level} khi {condition}{held}{awake}{ends}."
    }

    fn level(&self, level: Level) -> &'static str {
        match level {
            Level::Info => "Báo tin",
            Level::Warning => "Báo chú ý",
            Level::Critical => "Báo nguy hiểm",
        }
    }

    fn over(&self, over: &Over) -> &'static str {
        match over {
            Over::Node(_) => "tại nút đo {name}",
            Over::Plot(_) => "ở thửa {name}",
            Over::Farm(_) => "ở nông trại {name}",
            Over::Group(_) => "trong nhóm {name}",
            Over::All => "ở bất kỳ đâu",
        }
    }

    fn node(&self, over: &Over) -> &'static str {
        match over {
            Over::Node(_) => "nút đo {name}",
            Over::All => "một nút đo bất kỳ",
            _ => "một nút đo {over}",
        }
    }

    fn condition(&self, condition: &Condition, of_channel: bool) -> &'static str {
        match condition {
            Condition::Above(_) => "{what} {over} vượt {value}",
            Condition::Below(_) => "{what} {over} xuống dưới {value}",
            Condition::Outside(_) => "{what} {over} xuống dưới {low} hoặc vượt {high}",
            Condition::Rises(_) => "{what} {over} tăng từ {by} trở lên trong vòng {within}",
            Condition::Falls(_) => "{what} {over} giảm từ {by} trở lên trong vòng {within}",
            Condition::Swings(_) => "{what} {over} dao động từ {by} trở lên trong một ngày",
            Condition::Fault if of_channel => {
                "cảm biến {what} {over} báo lỗi hoặc cho số đo bất thường"
            }
            Condition::Fault => "một cảm biến của {node} báo lỗi hoặc cho số đo bất thường",
            Condition::Silent(_) if of_channel => {
                "{node} đang kết nối nhưng không có dữ liệu {what} trong {after}"
            }
            Condition::Silent(_) => "{node} mất kết nối trong {after}",
        }
    }

    fn held(&self) -> &'static str {
        " liên tục ít nhất {duration}"
    }

    fn hours(&self) -> &'static str {
        ", chỉ từ {from} đến {to}"
    }

    fn season(&self) -> &'static str {
        ", chỉ từ ngày {from} đến ngày {to}"
    }

    fn stage_days(&self, named: bool) -> &'static str {
        if named {
            ", chỉ trong giai đoạn {stage} (ngày {from} đến {to} của vụ)"
        } else {
            ", chỉ từ ngày {from} đến ngày {to} của vụ"
        }
    }

    fn ends(&self, end: &End) -> &'static str {
        match end {
            End::Plain => "",
            End::Down => "; hết cảnh báo khi còn {clears} trở xuống",
            End::Up => "; hết cảnh báo khi đạt {clears} trở lên",
            End::Inside => "; hết cảnh báo khi trở lại khoảng {inner_low} đến {inner_high}",
            End::PlainAfter => "; hết cảnh báo khi bình thường trở lại được {duration}",
            End::DownAfter => "; hết cảnh báo khi còn {clears} trở xuống được {duration}",
            End::UpAfter => "; hết cảnh báo khi đạt {clears} trở lên được {duration}",
            End::InsideAfter => {
                "; hết cảnh báo khi trở lại khoảng {inner_low} đến {inner_high} được {duration}"
            }
        }
    }

    fn problem(&self, problem: &Problem) -> &'static str {
        match problem {
            Problem::NoChannel => "Chưa chọn đại lượng đo: hãy chọn một đại lượng.",
            Problem::Unit { .. } => {
                "Không thể dùng đơn vị {unit} cho {channel}: hãy chọn một trong {units}."
            }
            Problem::NotANumber { .. } => "Giá trị của {field} không phải là số: hãy nhập một số.",
            Problem::NeverFires { .. } => {
                "Cảnh báo này không bao giờ xảy ra: {channel} chỉ nằm trong khoảng {least} đến {greatest}. Hãy chọn ngưỡng trong khoảng này."
            }
            Problem::AlwaysFires { .. } => {
                "Cảnh báo này lúc nào cũng xảy ra: mọi giá trị của {channel}, từ {least} đến {greatest}, đều thỏa. Hãy chọn ngưỡng trong khoảng này."
            }
            Problem::ClearsOnTheWrongSide => {
                "Ngưỡng kết thúc nằm về phía báo động: hãy chọn giá trị ở phía bình thường của ngưỡng."
            }
            Problem::NeverEnds { .. } => {
                "Cảnh báo sẽ không bao giờ kết thúc: {channel} chỉ nằm trong khoảng {least} đến {greatest}. Hãy chọn ngưỡng kết thúc gần ngưỡng cảnh báo hơn."
            }
            Problem::BandTooNarrow => {
                "Cảnh báo sẽ không bao giờ kết thúc: độ trễ lớn hơn nửa khoảng cho phép. Hãy chọn độ trễ nhỏ hơn."
            }
            Problem::Crossed => "Ngưỡng dưới không nhỏ hơn ngưỡng trên: hãy đổi chỗ hai ngưỡng.",
            Problem::Zero { .. } => "Giá trị của {field} phải lớn hơn 0: hãy nhập số lớn hơn.",
            Problem::Unneeded { .. } => "Loại cảnh báo này không dùng {field}: hãy bỏ trống.",
            Problem::NoHours => {
                "Giờ kết thúc trùng giờ bắt đầu nên cảnh báo không bao giờ hoạt động: hãy bỏ trống nếu muốn cả ngày."
            }
            Problem::LongerThanHours { .. } => {
                "Cảnh báo này không bao giờ xảy ra: phải kéo dài {for} nhưng chỉ hoạt động {hours}. Hãy rút ngắn thời gian kéo dài hoặc tăng khung giờ."
            }
            Problem::SeasonReversed => {
                "Ngày kết thúc mùa vụ trước ngày bắt đầu: hãy đổi chỗ hai ngày."
            }
            Problem::SeasonPast => "Mùa vụ đã qua: hãy chọn ngày sắp tới hoặc bỏ trống.",
            Problem::StageReversed => {
                "Ngày kết thúc giai đoạn trước ngày bắt đầu: hãy đổi chỗ hai ngày."
            }
            Problem::StageBeyondCalendar => "Ngày gieo sạ không hợp lệ: hãy sửa lại.",
            Problem::StageOutsideSeason => {
                "Cảnh báo này không bao giờ hoạt động: giai đoạn nằm ngoài mùa vụ. Hãy bỏ một trong hai."
            }
            Problem::StagePast => {
                "Giai đoạn này đã qua ở mọi thửa: cảnh báo tạm nghỉ đến khi nhập ngày gieo sạ mới."
            }
            Problem::NoSowingDate { .. } => {
                "Thửa {plot} chưa có ngày gieo sạ nên cảnh báo tạm nghỉ ở đó: hãy nhập ngày."
            }
            Problem::Unreliable { .. } => {
                "Cảm biến {channel} không đáng tin để cảnh báo: chỉ nên xem số đo."
            }
            Problem::UnknownPlace { .. } => "Không tìm thấy {name}: hãy chọn trong danh sách.",
            Problem::DeletedPlace { .. } => "{name} đã bị xóa: hãy chọn nơi khác.",
            Problem::NoNodes { .. } => {
                "{name} chưa có nút đo nào: cảnh báo sẽ chờ đến khi lắp nút đo."
            }
            Problem::NotMeasured { .. } => {
                "Ở đó chưa có cảm biến {channel}: cảnh báo sẽ chờ đến khi lắp cảm biến."
            }
            Problem::DeletedChannel { .. } => {
                "Ở đó không còn đo {channel}: hãy chọn đại lượng khác hoặc lắp lại cảm biến."
            }
            Problem::ShorterThanInterval { .. } => {
                "Giá trị của {field} ngắn hơn thời gian giữa hai lần đo của {node} ({interval}): hãy chọn ít nhất {interval}."
            }
            Problem::OneLostMessage { .. } => {
                "{node} gửi dữ liệu mỗi {interval}, chỉ mất một lần gửi là sẽ báo: nên chọn từ {twice} trở lên."
            }
            Problem::TooSeldom { .. } => {
                "{node} chỉ gửi dữ liệu mỗi {interval} nên không biết giữa hai lần gửi thế nào: hãy bỏ {field}, hoặc cho nút đo gửi thường xuyên hơn."
            }
            Problem::TooLong { .. } => "Phần {field} quá dài: tối đa {most} ký tự.",
            Problem::Empty { .. } => "Phần {field} còn trống: hãy nhập vào.",
            Problem::BadId => {
                "Mã không được có khoảng trắng hay xuống dòng: chỉ dùng chữ, số, - và _."
            }
        }
    }

    fn field(&self, field: &str) -> &'static str {
        match field {
            "value" => "ngưỡng cảnh báo",
            "clears_at" => "ngưỡng kết thúc",
            "low" => "ngưỡng dưới",
            "high" => "ngưỡng trên",
            "hysteresis" => "độ trễ",
            "by" => "mức thay đổi",
            "within_s" => "khoảng thời gian thay đổi",
            "after_s" => "thời gian mất kết nối",
            "for_s" => "thời gian kéo dài",
            "clear_for_s" => "thời gian chờ kết thúc",
            "unit" => "đơn vị",
            "id" => "mã",
            "name" => "tên",
            "over" => "nơi áp dụng",
            "stage" => "tên giai đoạn",
            _ => "mục này",
        }
    }
}
