//! Three farms with twelve nodes: what `sen demo` shows. Places, plots and names are made up of common words; no person,
//! firm or cooperative is meant.

use std::time::Duration;

use crate::source::Source;

/// What the demo shows.
#[derive(Clone, Debug, Default)]
pub struct Demo {
    /// The farms.
    pub farms: Vec<DemoFarm>,
    /// Their plots.
    pub plots: Vec<DemoPlot>,
    /// The nodes on them.
    pub nodes: Vec<DemoNode>,
}

/// A farm.
#[derive(Clone, Debug)]
pub struct DemoFarm {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Where it lies.
    pub commune: String,
}

/// A plot.
#[derive(Clone, Debug)]
pub struct DemoPlot {
    /// Id.
    pub id: String,
    /// The farm's id.
    pub farm: String,
    /// Name.
    pub name: String,
    /// What grows on it.
    pub crop: Option<String>,
    /// Hectares.
    pub area_ha: Option<f64>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct DemoNode {
    /// Id.
    pub id: String,
    /// The plot's id.
    pub plot: String,
    /// Name.
    pub name: String,
    /// What it replays.
    pub source: Source,
    /// Where in the recording it begins.
    pub start_offset: Duration,
}

const FARMS: [(&str, &str, &str); 3] = [
    ("lua-ven-song", "Nông trại lúa Ven Sông", "Gò Công Đông"),
    ("tom-cua-bien", "Trại tôm Cửa Biển", "Tân Phú Đông"),
    ("hoa-sa-dec", "Vườn hoa Sa Đéc", "Tân Quy Đông"),
];

type PlotRow = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<f64>,
);

const PLOTS: [PlotRow; 9] = [
    (
        "ruong-cong-1",
        "lua-ven-song",
        "Ruộng cống số 1",
        Some("rice"),
        Some(0.6),
    ),
    ("kenh-lay-nuoc", "lua-ven-song", "Kênh lấy nước", None, None),
    (
        "ao-nuoi-1",
        "tom-cua-bien",
        "Ao nuôi 1",
        Some("shrimp"),
        Some(0.3),
    ),
    (
        "ao-nuoi-2",
        "tom-cua-bien",
        "Ao nuôi 2",
        Some("shrimp"),
        Some(0.3),
    ),
    ("ao-lang", "tom-cua-bien", "Ao lắng", None, Some(0.2)),
    ("bo-ao", "tom-cua-bien", "Bờ ao", None, None),
    (
        "nha-luoi-1",
        "hoa-sa-dec",
        "Nhà lưới 1",
        Some("flowers"),
        Some(0.1),
    ),
    ("be-tuoi", "hoa-sa-dec", "Bể nước tưới", None, None),
    (
        "vuon-ngoai",
        "hoa-sa-dec",
        "Vườn ngoài trời",
        Some("flowers"),
        Some(0.2),
    ),
];

/// Id, plot, name, recording, days into it. Taken in this order, so that a small fleet already has something of each farm.
const NODES: [(&str, &str, &str, Source, u64); 12] = [
    (
        "nuoc-ao-1",
        "ao-nuoi-1",
        "Nước ao nuôi 1",
        Source::EstuaryWater,
        20,
    ),
    (
        "man-kenh",
        "kenh-lay-nuoc",
        "Độ mặn kênh lấy nước",
        Source::EstuaryWater,
        0,
    ),
    (
        "khi-hau-nha-luoi-1",
        "nha-luoi-1",
        "Khí hậu nhà lưới 1",
        Source::GreenhouseClimate,
        0,
    ),
    (
        "thoi-tiet-ruong",
        "ruong-cong-1",
        "Trạm thời tiết ruộng",
        Source::EstuaryWeather,
        0,
    ),
    (
        "nuoc-ao-2",
        "ao-nuoi-2",
        "Nước ao nuôi 2",
        Source::EstuaryWater,
        35,
    ),
    (
        "tan-la-nha-luoi-1",
        "nha-luoi-1",
        "Tán lá nhà lưới 1",
        Source::GreenhouseCanopy,
        0,
    ),
    (
        "gia-the-nha-luoi-1",
        "nha-luoi-1",
        "Giá thể nhà lưới 1",
        Source::GreenhouseSubstrate,
        0,
    ),
    (
        "nuoc-be-tuoi",
        "be-tuoi",
        "Nước bể tưới",
        Source::GreenhouseWater,
        0,
    ),
    (
        "nuoc-ao-lang",
        "ao-lang",
        "Nước ao lắng (đầu dò hỏng)",
        Source::EstuaryWaterFailing,
        0,
    ),
    (
        "thoi-tiet-bo-ao",
        "bo-ao",
        "Trạm thời tiết bờ ao",
        Source::EstuaryWeather,
        20,
    ),
    (
        "nuoc-ruong-1",
        "ruong-cong-1",
        "Nước ruộng cống số 1",
        Source::EstuaryWater,
        9,
    ),
    (
        "thoi-tiet-vuon",
        "vuon-ngoai",
        "Thời tiết vườn ngoài trời",
        Source::GreenhouseWeather,
        0,
    ),
];

/// The demo with so many nodes. More than twelve are the same again, further into their recordings, on the same plots.
pub fn demo_fleet(nodes: usize) -> Demo {
    let farm = |(id, name, commune): (&str, &str, &str)| DemoFarm {
        id: id.into(),
        name: name.into(),
        commune: commune.into(),
    };
    let plot =
        |(id, farm, name, crop, area_ha): (&str, &str, &str, Option<&str>, Option<f64>)| DemoPlot {
            id: id.into(),
            farm: farm.into(),
            name: name.into(),
            crop: crop.map(String::from),
            area_ha,
        };
    let node = |place: usize| {
        let (id, plot, name, source, days) = NODES[place % NODES.len()];
        let round = place / NODES.len();
        let (id, name) = match round {
            0 => (id.into(), name.into()),
            _ => (
                format!("{id}-{}", round + 1),
                format!("{name} ({})", round + 1),
            ),
        };
        let start_offset = Duration::from_secs((days + 3 * round as u64) * 86_400);
        DemoNode {
            id,
            plot: plot.into(),
            name,
            source,
            start_offset,
        }
    };
    Demo {
        farms: FARMS.map(farm).into(),
        plots: PLOTS.map(plot).into(),
        nodes: (0..nodes).map(node).collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sen_wire::id::check_id;

    use super::*;

    #[test]
    fn ids_are_valid_unique_and_lead_somewhere() {
        let demo = demo_fleet(200);
        let farms: HashSet<_> = demo.farms.iter().map(|farm| &farm.id).collect();
        let plots: HashSet<_> = demo.plots.iter().map(|plot| &plot.id).collect();
        let nodes: HashSet<_> = demo.nodes.iter().map(|node| &node.id).collect();
        assert_eq!((farms.len(), plots.len(), nodes.len()), (3, 9, 200));
        assert!(
            farms
                .iter()
                .chain(&plots)
                .chain(&nodes)
                .all(|id| check_id(id) == Ok(()))
        );
        assert!(demo.plots.iter().all(|plot| farms.contains(&plot.farm)));
        assert!(demo.nodes.iter().all(|node| plots.contains(&node.plot)));
        let sources: HashSet<_> = demo.nodes[..12].iter().map(|node| node.source).collect();
        assert_eq!(sources.len(), Source::ALL.len(), "every recording is shown");
    }
}
